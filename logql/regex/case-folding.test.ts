import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { foldCase } from './case-folding.ts';
import { codePointsOf, hasCodePoint, normalize } from './code-points.ts';

describe('case folding', () => {
  it('of one ASCII character is what JavaScript matches without case', () => {
    for (let point = 0; point < 0x80; point++) {
      assert.deepEqual(foldCase([point, point]), foldByRegex(point), String.fromCodePoint(point));
    }
  });

  it('of a set is that of its members, within ASCII as beyond', () => {
    for (const set of [
      [0x41, 0x46],
      [0x30, 0x39],
      [0x20, 0x7e],
      [0x6b, 0x6b, 0x73, 0x74],
      [0x61, 0x7a, 0xdf, 0xdf],
      [],
    ]) {
      const members: number[] = [];
      for (let point = 0; point < 0x2200; point++) if (hasCodePoint(set, point)) members.push(point);
      assert.deepEqual(foldCase(set), normalize(members.flatMap((point) => [...foldByRegex(point)])));
    }
  });
});

function foldByRegex(point: number) {
  const pattern = new RegExp(`^\\u{${point.toString(16)}}$`, 'iu');
  const found: number[] = [];
  for (const other of candidates) if (pattern.test(String.fromCodePoint(other))) found.push(other, other);
  return normalize([...found, point, point]);
}

/** Everything that has a case. */
const candidates = (() => {
  const ranges = codePointsOf('[\\p{Lowercase}\\p{Uppercase}]');
  const points: number[] = [];
  for (let i = 0; i < ranges.length; i += 2) for (let p = ranges[i]!; p <= ranges[i + 1]!; p++) points.push(p);
  return points;
})();
