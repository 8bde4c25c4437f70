import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

const PAUSE_MS = 50;
const url = workerData as string;
const stop = new AbortController();
parentPort!.once('message', () => stop.abort());

let answers = 0;
let failures = 0;
let worstMs = 0;
do {
  const beganMs = performance.now();
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
    await response.arrayBuffer();
    if (response.ok) answers++;
    else failures++;
  } catch {
    failures++; // counted; the test decides
  }
  worstMs = Math.max(worstMs, performance.now() - beganMs);
  await sleep(PAUSE_MS);
} while (!stop.signal.aborted);
parentPort!.postMessage({ answers, failures, worstMs });
