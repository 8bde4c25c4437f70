import type { Random } from './random.ts';

/** Makes something near to `text`: pieces cut out, doubled, swapped for pieces of `others` or for `tokens`. */
export function mutateText(random: Random, text: string, others: readonly string[], tokens: readonly string[]): string {
  for (let rounds = random.below(5); rounds >= 0; rounds--) {
    const at = random.below(text.length + 1);
    const length = random.below(random.below(4) === 0 ? text.length + 1 : 6);
    const before = text.slice(0, at);
    const after = text.slice(at + length);
    switch (random.below(7)) {
      case 0:
        text = before + after;
        break;
      case 1:
        text = before + random.pick(tokens) + text.slice(at);
        break;
      case 2:
        text = before + random.pick(tokens) + after;
        break;
      case 3: {
        const other = random.pick(others);
        text = before + other.slice(random.below(other.length + 1)) + (random.below(2) === 0 ? '' : after);
        break;
      }
      case 4:
        text = before + String.fromCharCode(random.below(random.below(4) === 0 ? 0xffff : 0x7f)) + after;
        break;
      case 5: {
        const piece = text.slice(at, at + length);
        text = before + piece.repeat(1 + random.below(random.below(8) === 0 ? 60 : 3)) + text.slice(at);
        break;
      }
      default:
        text = before + random.pick(others) + text.slice(at);
    }
    if (text.length > MAX_TEXT) text = text.slice(0, MAX_TEXT);
  }
  return text;
}

/** Longer inputs find little more and cost time. */
const MAX_TEXT = 600;

const INTERESTING = [0, 1, 0x7f, 0x80, 0xff];

/** Makes something near to `bytes`: bits turned, bytes and 32-bit numbers replaced, ends cut off, pieces moved. */
export function mutateBytes(random: Random, bytes: Uint8Array): Buffer {
  let result = Buffer.from(bytes);
  for (let rounds = random.below(4); rounds >= 0; rounds--) {
    const at = random.below(Math.max(1, result.length));
    switch (random.below(7)) {
      case 0:
        if (result.length > 0) result[at]! ^= 1 << random.below(8);
        break;
      case 1:
        if (result.length > 0) result[at] = random.pick(INTERESTING);
        break;
      case 2:
        if (at + 4 <= result.length) result.writeUInt32LE(random.below(3) === 0 ? 0xffff_fff0 : random.below(300), at);
        break;
      case 3:
        result = result.subarray(0, at);
        break;
      case 4:
        result = Buffer.concat([result.subarray(0, at), result.subarray(random.below(result.length + 1))]);
        break;
      case 5:
        if (result.length > 0) result[at] = random.next();
        break;
      default: {
        const piece = Buffer.from(result.subarray(at, at + random.below(16)));
        piece.copy(result, random.below(Math.max(1, result.length)));
      }
    }
  }
  // Away from the pool of small buffers, and at a multiple of 8, as readers of columns want them.
  const fresh = Buffer.from(new ArrayBuffer(result.length));
  result.copy(fresh);
  return fresh;
}
