/**
 * States that the counted repeats of a pattern add when they are written out: `a{10}` adds 9, `(ab{5}){3}` adds 16.
 * A quick look at any text, valid pattern or not, before anything that takes time in proportion.
 */
export function unrolledSize(pattern: string): number {
  const token =
    /\\Q[\s\S]*?(?:\\E|$)|\\[pPx]\{[^}]*\}|\\[\s\S]|\[\^?\]?(?:\[:\^?\w+:\]|\\[\s\S]|[^\]\\])*\]|\{(\d+)(,?)(\d*)\}|[\s\S]/gy;
  /** Of each open group: states in it so far, and what repeats have added to them. */
  const outer: { size: number; added: number }[] = [];
  let size = 0;
  let added = 0;
  /** Of the item that a repeat would bind to. */
  let last = { size: 0, added: 0 };
  for (const [text, min, comma, max] of pattern.matchAll(token)) {
    if (text === '(') {
      outer.push({ size, added });
      size = 0;
      added = 0;
    } else if (text === ')' && outer.length > 0) {
      last = { size, added };
      const group = outer.pop()!;
      size += group.size;
      added += group.added;
    } else if (min !== undefined) {
      const bound = Number(comma === '' || max === '' ? min : max);
      if (bound === 0) {
        const isNothing = comma === '' || max !== ''; // `x{0}` and `x{0,0}`, but not `x{0,}`
        if (isNothing) {
          added -= last.added;
          last = { size: last.size, added: 0 };
        }
        continue;
      }
      const more = (last.size + last.added) * (bound - 1);
      added += more;
      last = { size: last.size, added: last.added + more };
    } else {
      size++;
      last = { size: 1, added: 0 };
    }
  }
  return added + outer.reduce((sum, group) => sum + group.added, 0);
}
