import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closeReason } from './close-reason.ts';

test('a text that fits a close frame stays as it is', () => {
  for (const text of ['', 'gone', 'a'.repeat(123), 'é'.repeat(61), '😀'.repeat(30)])
    assert.equal(closeReason(text), text);
});

test('a longer one is cut at 123 bytes, and no character in two', () => {
  assert.equal(closeReason('a'.repeat(124)), 'a'.repeat(123));
  assert.equal(closeReason('é'.repeat(100)), 'é'.repeat(61));
  assert.equal(closeReason('😀'.repeat(100)), '😀'.repeat(30));
  assert.equal(closeReason(`ab${'😀'.repeat(100)}`), `ab${'😀'.repeat(30)}`);
  assert.ok(Buffer.byteLength(closeReason('\ud800'.repeat(100))) <= 123);
});
