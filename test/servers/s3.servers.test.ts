import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import {
  createObjectStore,
  type ObjectStore,
  ObjectStoreError,
  type S3StoreConfig,
} from '../../storage/objectstore/index.ts';
import { testObjectStore } from '../../storage/objectstore/testing/contract.ts';
import { type RadosGateway, startRadosGateway } from './radosgw.ts';

const LISTED_KEYS = 1500;
const PUTS_AT_ONCE = 20;

describe('S3Store and radosgw', () => {
  let server: RadosGateway;
  let admin: S3Client;
  const stores: ObjectStore[] = [];
  let buckets = 0;

  const settings = (bucket: string): S3StoreConfig => ({
    kind: 's3',
    bucket,
    endpoint: server.endpoint,
    region: server.region,
    accessKeyId: server.accessKeyId,
    secretAccessKey: server.secretAccessKey,
    forcePathStyle: true,
    maxAttempts: 3,
  });
  const open = async (config: S3StoreConfig): Promise<ObjectStore> => {
    const store = await createObjectStore(config);
    stores.push(store);
    return store;
  };
  const freshBucket = async (): Promise<string> => {
    const bucket = `bucket-${buckets++}`;
    await admin.send(new CreateBucketCommand({ Bucket: bucket }));
    return bucket;
  };
  const freshStore = async (): Promise<ObjectStore> => open(settings(await freshBucket()));
  const failsWith = (code: string, retryable: boolean) => (error: unknown) =>
    error instanceof ObjectStoreError && error.code === code && error.retryable === retryable;

  before(async () => {
    server = await startRadosGateway();
    const { endpoint, region, accessKeyId, secretAccessKey } = server;
    admin = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
  });
  after(async () => {
    for (const store of stores) store.close();
    admin?.destroy();
    await server?.stop();
  });

  testObjectStore(freshStore);

  it('sends large objects in parts and reads them in ranges', async () => {
    const store = await freshStore();
    const pieces = Array.from({ length: 5 }, (_, i) => Buffer.alloc(6 * 1024 * 1024, `piece ${i} `));
    await store.put('large', pieces);
    const whole = Buffer.concat(pieces);
    assert.equal((await store.head('large')).sizeBytes, whole.length);
    assert.ok(whole.equals(await store.get('large')));
    const range = { offset: 8 * 1024 * 1024 - 100, length: 200 };
    assert.ok(whole.subarray(range.offset, range.offset + range.length).equals(await store.get('large', range)));
  });

  it('stores nothing when a put of many parts is given up', async () => {
    const store = await freshStore();
    const controller = new AbortController();
    const put = store.put('large', [Buffer.alloc(64 * 1024 * 1024)], controller.signal);
    setImmediate(() => controller.abort());
    await assert.rejects(put, failsWith('aborted', false));
    await assert.rejects(store.head('large'), failsWith('not_found', false));
  });

  it('lists more keys than a page holds', async () => {
    const store = await freshStore();
    const keys = Array.from({ length: LISTED_KEYS }, (_, i) => `many/${String(i).padStart(5, '0')}`);
    for (let from = 0; from < keys.length; from += PUTS_AT_ONCE) {
      await Promise.all(keys.slice(from, from + PUTS_AT_ONCE).map((key) => store.put(key, [Buffer.from(key)])));
    }
    const listed: string[] = [];
    for await (const { key } of store.list('many/')) listed.push(key);
    assert.deepEqual(listed.sort(), keys);
  });

  it('works with the checksums of older servers', async () => {
    const config = settings(await freshBucket());
    const store = await open({
      ...config,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    });
    await store.put('key', [Buffer.from('x')]);
    assert.equal(Buffer.from(await store.get('key')).toString(), 'x');
  });

  it('tells wrong credentials and a missing bucket from trouble that may pass', async () => {
    const bucket = await freshBucket();
    const stranger = await open({ ...settings(bucket), secretAccessKey: 'wrong' });
    await assert.rejects(stranger.put('key', []), failsWith('denied', false));
    await assert.rejects(stranger.get('key'), failsWith('denied', false));
    await assert.rejects(
      async () => {
        for await (const _ of stranger.list('')) assert.fail('nothing may be listed');
      },
      failsWith('denied', false),
    );
    const nowhere = await open(settings('no-such-bucket'));
    await assert.rejects(nowhere.put('key', []), failsWith('invalid', false));
  });

  it('says `unavailable` once the server is gone', async () => {
    const store = await freshStore();
    await store.put('key', [Buffer.from('x')]);
    await server.killGateway();
    await assert.rejects(store.get('key'), failsWith('unavailable', true));
    await assert.rejects(store.put('other', []), failsWith('unavailable', true));
    await assert.rejects(store.delete('key'), failsWith('unavailable', true));
  });
});
