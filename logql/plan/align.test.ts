import assert from 'node:assert/strict';
import { it } from 'node:test';
import { alignRange } from './align.ts';

it('moves the start down and the end up to multiples of the step', () => {
  assert.deepEqual(alignRange(195n, 230n, 10n), { startNs: 190n, endNs: 230n });
  assert.deepEqual(alignRange(200n, 221n, 10n), { startNs: 200n, endNs: 230n });
});

it('does so before 1970 too', () => {
  assert.deepEqual(alignRange(-15n, -5n, 10n), { startNs: -20n, endNs: 0n });
  assert.deepEqual(alignRange(-20n, -15n, 10n), { startNs: -20n, endNs: -10n });
});
