import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { toObjectStoreError } from './file-errors.ts';
import { keyOfNames, pathOfKey } from './file-names.ts';
import { createObjectStore, FilesystemStore, ObjectStoreError, startObjectStore } from './index.ts';
import { oddKeys, testObjectStore } from './testing/contract.ts';

const root = await mkdtemp(join(tmpdir(), 'loptr-objects-'));
after(() => rm(root, { recursive: true }));
let stores = 0;
const freshDirectory = (): string => join(root, String(stores++));

describe('FilesystemStore', () => {
  testObjectStore(async () => createObjectStore({ kind: 'filesystem', directory: freshDirectory() }));

  it('leaves no temporary file, and never shows one', async () => {
    const directory = freshDirectory();
    const store = new FilesystemStore({ kind: 'filesystem', directory });
    await store.put('a/b', [Buffer.from('x')]);
    assert.deepEqual(await readdir(join(directory, '.tmp')), []);
    await writeFile(join(directory, '.tmp', 'stranger'), 'x');
    await writeFile(join(directory, 'a', 'not%a%key'), 'x');
    const keys: string[] = [];
    for await (const { key } of store.list('')) keys.push(key);
    assert.deepEqual(keys, ['a/b']);
  });

  it('removes at start what a killed process left, and nothing of a living one', async () => {
    const directory = freshDirectory();
    await mkdir(join(directory, '.tmp'), { recursive: true });
    const host = encodeURIComponent(hostname());
    const gone = 2 ** 22 + 1; // above Linux's largest process id
    for (const name of [
      `${host} ${gone} a`,
      `${host} ${process.pid} b`,
      `${host} ${process.ppid} c`,
      'elsewhere 1 d',
    ]) {
      await writeFile(join(directory, '.tmp', name), 'x');
    }
    await startObjectStore({ kind: 'filesystem', directory });
    const left = await readdir(join(directory, '.tmp'));
    assert.deepEqual(left.sort(), [`${host} ${process.ppid} c`, 'elsewhere 1 d'].sort());
  });

  it('leaves nothing behind when a write fails', async () => {
    const directory = freshDirectory();
    const store = new FilesystemStore({ kind: 'filesystem', directory });
    const unwritable = new Proxy(new Uint8Array(1), {});
    await assert.rejects(store.put('key', [Buffer.from('x'), unwritable]), ObjectStoreError);
    await assert.rejects(store.head('key'), { code: 'not_found' });
    assert.deepEqual(await readdir(join(directory, '.tmp')), []);
  });

  it('tells apart what may pass, a full disk among it, and what will not', () => {
    const mapped = (code: string) => toObjectStoreError('put', 'key', Object.assign(new Error(code), { code }));
    for (const code of ['ENOSPC', 'EDQUOT', 'EIO', 'EMFILE']) assert.equal(mapped(code).retryable, true, code);
    assert.equal(mapped('ENOSPC').code, 'unavailable');
    for (const code of ['EACCES', 'EROFS']) assert.equal(mapped(code).code, 'denied');
    assert.equal(mapped('ENOENT').code, 'not_found');
  });
});

describe('paths of keys', () => {
  it('stay inside the directory and lead back to the key', () => {
    const part = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }),
      fc.constantFrom('.', '..', '%', '%%', '.tmp', 'a%', `${'y'.repeat(199)}%`, 'z'.repeat(200), 'z'.repeat(201)),
    );
    const key = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    fc.assert(
      fc.property(fc.oneof(key, fc.constantFrom(...oddKeys)), (text) => {
        fc.pre(text.isWellFormed() && !text.split('/').includes(''));
        const names = pathOfKey(text).split('/');
        for (const name of names) {
          assert.ok(name.length <= 255 && !name.startsWith('.') && /^[\x21-\x7e]+$/.test(name), name);
        }
        assert.equal(keyOfNames(names), text);
      }),
    );
  });
});
