/** An object store in memory, for tests that start over many times. */
import {
  type ByteRange,
  type ObjectEntry,
  type ObjectStore,
  ObjectStoreError,
} from '../../storage/objectstore/index.ts';

export class MemoryStore implements ObjectStore {
  readonly objects = new Map<string, Uint8Array>();

  async put(key: string, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.objects.set(key, Uint8Array.from(Buffer.concat(pieces)));
  }

  async get(key: string, range?: ByteRange): Promise<Uint8Array> {
    const object = this.#object(key);
    if (range === undefined) return Uint8Array.from(object);
    if (range.offset + range.length > object.length) throw new ObjectStoreError('invalid', `past the end of ${key}`);
    return object.slice(range.offset, range.offset + range.length);
  }

  async *list(prefix: string): AsyncGenerator<ObjectEntry> {
    for (const [key, object] of [...this.objects]) {
      if (key.startsWith(prefix)) yield { key, sizeBytes: object.length };
    }
  }

  async delete(key: string): Promise<void> {
    this.objects.delete(key);
  }

  async head(key: string): Promise<ObjectEntry> {
    return { key, sizeBytes: this.#object(key).length };
  }

  close(): void {}

  #object(key: string): Uint8Array {
    const object = this.objects.get(key);
    if (object === undefined) throw new ObjectStoreError('not_found', `${key} is not there`);
    return object;
  }
}
