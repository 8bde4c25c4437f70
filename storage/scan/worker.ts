/** The entry of a worker thread: encodes blocks, and reads them for queries and merges. Jobs run one after the other. */
import { getPriority, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { encodeBlocks, ReusedMemory } from '../block/index.ts';
import type { EncodedBlock } from '../block/types.ts';
import type { EncodeRequest, JobRequest, WorkerMessage, WorkerReply, WorkerSettings } from './messages.ts';
import type { Done, ReadJobs } from './read-jobs.ts';

/** Half of the main thread's share where both want a core, and all that it leaves. */
const WORKER_NICENESS = 3;

/** What is encoded is moved: in one piece where there are many heads, since each piece costs as much as a small block. */
function encodeHeads({ heads, limits }: EncodeRequest): Done {
  const value = heads.map((head) => {
    encodeMemory.reset();
    return encodeBlocks(head, limits, encodeMemory);
  });
  const blocks = value.flat();
  if (heads.length === 1) {
    return { value, transfer: blocks.flatMap(({ bytes, filter }) => [bytes.buffer, filter.buffer] as ArrayBuffer[]) };
  }
  const memory = new Uint8Array(blocks.reduce((sum, { bytes, filter }) => sum + bytes.length + filter.length, 0));
  let end = 0;
  const moved = (from: Uint8Array): Uint8Array => {
    memory.set(from, end);
    end += from.length;
    return memory.subarray(end - from.length, end);
  };
  const together = value.map((own) =>
    own.map(({ bytes, stats, filter }): EncodedBlock => ({ bytes: moved(bytes), stats, filter: moved(filter) })),
  );
  return { value: together, transfer: [memory.buffer] };
}

/** Code for queries is loaded by the first of them: a thread that only encodes takes half of the memory. */
async function readJobs(): Promise<ReadJobs> {
  if (reading === null) {
    const [{ ReadJobs }, { createObjectStore }] = await Promise.all([
      import('./read-jobs.ts'),
      import('../objectstore/index.ts'),
    ]);
    reading = new ReadJobs(await createObjectStore((workerData as WorkerSettings).objectStore));
  }
  return reading;
}

async function run(request: JobRequest): Promise<Done> {
  if (request.kind === 'encode') return encodeHeads(request);
  const jobs = await readJobs();
  return request.kind === 'load' ? { value: null } : jobs.run(request);
}

function codeOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return 'internal';
}

/** For the columns of heads. */
const encodeMemory = new ReusedMemory();

const port = parentPort;
if (!port) throw new Error('worker.ts runs in a worker thread only');
// Where all cores are busy the main thread, which answers pushes and /ready, goes first. Linux takes 0 for the thread that
// asks, other systems for the whole process.
if (process.platform === 'linux') setPriority(0, Math.min(19, getPriority(0) + WORKER_NICENESS));
let reading: ReadJobs | null = null;
let last: Promise<void> = Promise.resolve();

port.on('message', ({ id, request }: WorkerMessage) => {
  if (request.kind === 'close') {
    reading?.close(request);
    return;
  }
  last = last.then(async () => {
    let reply: WorkerReply;
    let transfer: ArrayBuffer[] = [];
    try {
      const done = await run(request);
      reply = { id, value: done.value };
      transfer = done.transfer ?? [];
    } catch (error: unknown) {
      reply = { id, error: { code: codeOf(error), message: error instanceof Error ? error.message : String(error) } };
    }
    port.postMessage(reply, transfer);
  });
});
