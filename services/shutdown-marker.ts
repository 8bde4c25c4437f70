import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const NAME = 'shutdown-requested.txt';

/** The file that `/ingester/prepare_shutdown` leaves: the next stop is meant for good. It survives a restart. */
export class ShutdownMarker {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async isSet(): Promise<boolean> {
    try {
      await stat(join(this.#directory, NAME));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
  }

  async set(isSet: boolean): Promise<void> {
    const path = join(this.#directory, NAME);
    if (!isSet) return rm(path, { force: true });
    await mkdir(this.#directory, { recursive: true });
    await writeFile(path, new Date().toISOString());
  }
}
