import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ingester } from '../index.ts';
import { FakeClock, ingesterOptions, MemorySink } from './fixture.ts';

export interface Started extends AsyncDisposable {
  readonly ingester: Ingester;
  readonly sink: MemorySink;
}

/** An ingester over a directory and a store of its own, on a clock that stands still. */
export async function startIngester(overrides: Parameters<typeof ingesterOptions>[3] = {}): Promise<Started> {
  const directory = await mkdtemp(join(tmpdir(), 'started-ingester-'));
  const sink = new MemorySink();
  const ingester = new Ingester(ingesterOptions(directory, sink, new FakeClock(), overrides));
  await ingester.start();
  return {
    ingester,
    sink,
    [Symbol.asyncDispose]: async () => {
      await ingester.stop(0);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
