import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { QuerySlots } from './query-slots.ts';

describe('QuerySlots', () => {
  it('refuses an owner beyond its bound and no other, until a slot is given back', () => {
    const slots = new QuerySlots(2);
    const first = slots.take('a');
    slots.take('a');
    assert.throws(() => slots.take('a'), { code: 'too_many_outstanding', message: 'too many outstanding requests' });
    slots.take('b');
    assert.equal(slots.inProgress, 3);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    assert.equal(slots.inProgress, 2);
    slots.take('a');
    assert.throws(() => slots.take('a'), { code: 'too_many_outstanding' });
  });
});
