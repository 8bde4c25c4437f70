import { hash } from 'node:crypto';
import HashRing from 'hashring';

/** Hashes a member has, each worth four points; as many as hashring gives by itself. */
const HASHES = 40;
const POINTS = 4 * HASHES;
/** A point and its owner share one number: 2^32 points, and owners below this. */
const OWNERS = 1 << 20;

/** The points of single members, kept because they cost 0.1 ms a member and most members stay. */
export class MemberPoints {
  #points = new Map<string, Float64Array>();

  /** Forgets the points of all others. */
  of(ids: readonly string[]): Float64Array[] {
    const kept = new Map<string, Float64Array>();
    for (const id of ids) kept.set(id, this.#points.get(id) ?? pointsOf(id));
    this.#points = kept;
    return [...kept.values()];
  }
}

/**
 * Asked for one member at a time: the number of points that hashring gives to each of several is rounded down for some
 * sizes of the ring (7, 14, 28, …), so that one member more would move streams between all others. With `vnodes` it is
 * exact, if it differs from the default.
 */
function pointsOf(id: string): Float64Array {
  const ring = new HashRing({ [id]: { vnodes: HASHES } }, md5, { 'vnode count': 1 });
  return Float64Array.from(ring.points([id])[id]!);
}

const digestBytes = new Uint8Array(16);

/** For hashring, which reads the bytes at once: three times as fast as the objects that it would make itself. */
function md5(text: string): Uint8Array {
  const digest = hash('md5', text, 'latin1');
  for (let i = 0; i < digestBytes.length; i++) digestBytes[i] = digest.charCodeAt(i);
  return digestBytes;
}

/** Where a key stands among the points: as `hashring` computes it, without its Buffers. */
export function pointOfKey(key: string): number {
  const digest = hash('md5', key, 'latin1');
  return (
    ((digest.charCodeAt(3) << 24) |
      (digest.charCodeAt(2) << 16) |
      (digest.charCodeAt(1) << 8) |
      digest.charCodeAt(0)) >>>
    0
  );
}

/** All points of a ring in their order. The same members give the same ring, in whatever order they came. */
export class RingPoints {
  /** Owner of each point, as an index of `ids`. */
  readonly owners: Uint32Array;
  readonly #points: Uint32Array;

  /** `ids` sorted. */
  constructor(ids: readonly string[], memberPoints: MemberPoints) {
    const joined = new Float64Array(ids.length * POINTS);
    memberPoints.of(ids).forEach((points, owner) => {
      for (let i = 0; i < POINTS; i++) joined[owner * POINTS + i] = points[i]! * OWNERS + owner;
    });
    joined.sort();
    this.#points = new Uint32Array(joined.length);
    this.owners = new Uint32Array(joined.length);
    for (let i = 0; i < joined.length; i++) {
      const point = Math.floor(joined[i]! / OWNERS);
      this.#points[i] = point;
      this.owners[i] = joined[i]! - point * OWNERS;
    }
  }

  /** Index of the first point at or after `point`, going round. */
  find(point: number): number {
    const points = this.#points;
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (points[middle]! < point) low = middle + 1;
      else high = middle;
    }
    return low === points.length ? 0 : low;
  }

  /** Part of all keys that stand first at each owner; together 1. */
  shares(owners: number): Float64Array {
    const shares = new Float64Array(owners);
    const points = this.#points;
    let previous = (points.at(-1) ?? 0) - 2 ** 32;
    points.forEach((point, i) => {
      shares[this.owners[i]!]! += (point - previous) / 2 ** 32;
      previous = point;
    });
    return shares;
  }
}
