/**
 * `testdata/tiny-block.txt` shows every byte of a block, so that a change of the format is seen, and the format's page
 * has an example. With `REWRITE=1` in the environment it is written anew; the difference is then to be reviewed.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { it } from 'node:test';
import { crc32 } from 'node:zlib';
import { encodeBlocks, openBlock } from './index.ts';
import { dumpBlock } from './testing/dump-block.ts';
import { headOf, rowTexts, type TestRow } from './testing/heads.ts';

const file = new URL('./testdata/tiny-block.txt', import.meta.url);
const second = 1_000_000_000n;

const rows: TestRow[] = [
  { ns: 1_700_000_000n * second, line: 'GET /', metadata: [['pod', 'web-1']] },
  { ns: 1_700_000_003n * second, line: 'GET /ключ' },
  {
    ns: 1_700_000_001n * second,
    line: '',
    metadata: [
      ['detected_level', 'info'],
      ['pod', 'web-2'],
    ],
  },
  { ns: 1_700_000_300n * second, line: 'GET /', metadata: [['pod', 'web-1']] },
];

const rowLine = ({ ns, line, metadata = [] }: TestRow): string =>
  `row ${JSON.stringify([String(ns), line, metadata])}\n`;

it('a block is stored byte by byte as its format says', () => {
  const [block] = encodeBlocks(headOf(rows));
  const text = `${rows.map(rowLine).join('')}\n${dumpBlock(block!.bytes)}\n`;
  if (process.env['REWRITE']) writeFileSync(file, text);
  assert.equal(text, readFileSync(file, 'utf8'));
  assert.equal(rowTexts(openBlock(block!.bytes).columns({ lines: true, metadata: null })).length, rows.length);
});

it('a block of version 1 is read, one of an unknown version is not', () => {
  const [block] = encodeBlocks(headOf(rows));
  const signed = (version: number): Buffer => {
    const bytes = Buffer.from(block!.bytes);
    bytes[4] = version;
    const directoryEnd = 56 + bytes.readUInt32LE(16);
    bytes.writeUInt32LE(crc32(bytes.subarray(56, directoryEnd), crc32(bytes.subarray(0, 52))), 52);
    return bytes;
  };
  const texts = (bytes: Uint8Array) => rowTexts(openBlock(bytes).columns({ lines: true, metadata: null }));
  assert.deepEqual(texts(signed(1)), texts(block!.bytes));
  for (const version of [0, 3]) assert.throws(() => openBlock(signed(version)), /version \d is not known/);
});
