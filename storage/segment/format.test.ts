/**
 * `testdata/tiny-segment.txt` shows every byte of a segment around its blocks. With `REWRITE=1` in the environment it
 * is written anew; the difference is then to be reviewed.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { it } from 'node:test';
import { encodeBlocks } from '../block/index.ts';
import { headOf } from '../block/testing/heads.ts';
import { writeSegment } from './index.ts';
import { dumpSegment } from './testing/dump-segment.ts';

const file = new URL('./testdata/tiny-segment.txt', import.meta.url);

it('a segment is stored byte by byte as its format says', () => {
  const blocks = (...lines: string[]) => encodeBlocks(headOf(lines.map((line, i) => ({ ns: BigInt(i + 1), line }))));
  const { key, pieces } = writeSegment('fake', [
    {
      labels: [
        ['app', 'web'],
        ['env', 'prod'],
      ],
      blocks: [...blocks('one', 'two'), ...blocks('three')],
    },
    {
      labels: [
        ['app', 'api'],
        ['env', 'prod'],
      ],
      blocks: blocks('four'),
    },
  ]);
  const random = key.split('-').at(-3)!;
  const text = `key ${key.replace(random, '<id>')}\n\n${dumpSegment(Buffer.concat(pieces))}\n`;
  if (process.env['REWRITE']) writeFileSync(file, text);
  assert.equal(text, readFileSync(file, 'utf8'));
});
