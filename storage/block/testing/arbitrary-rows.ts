import fc from 'fast-check';
import type { TestRow } from './heads.ts';

const baseNs = 1_700_000_000_123_456_789n;

/** Times that repeat, run backwards, tick in milliseconds, or lie weeks apart. */
const ns = fc.oneof(
  fc.bigInt(0n, 5n).map((n) => baseNs + n),
  fc.bigInt(0n, 1000n).map((n) => baseNs + n * 1_000_000n),
  fc.bigInt(-(2n ** 50n), 2n ** 51n - 1n).map((n) => baseNs + n),
);

const line = fc.oneof(
  fc.constantFrom('', 'a', 'level=info msg="ok"'),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.uint8Array({ maxLength: 40 }),
);

const metadata = fc.oneof(
  fc.constant([]),
  fc
    .uniqueArray(
      fc.oneof(
        fc.tuple(fc.constantFrom('detected_level', 'trace_id', 'pod', 'ключ'), fc.string({ maxLength: 300 })),
        fc.tuple(fc.constantFrom('trace_id', 'span'), fc.stringMatching(/^[0-9a-f]{0,20}$/)),
      ),
      {
        selector: ([name]) => name,
        maxLength: 4,
      },
    )
    .map((pairs) => pairs.sort((a, b) => (a[0] < b[0] ? -1 : 1))),
);

export const arbitraryRows: fc.Arbitrary<TestRow[]> = fc.array(fc.record({ ns, line, metadata }), {
  minLength: 1,
  maxLength: 60,
});
