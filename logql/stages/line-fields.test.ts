import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readLineFields } from './line-fields.ts';
import { runLines } from './testing/run-lines.ts';

const TAKEN = new Set(['app']);
const isTaken = (name: string): boolean => TAKEN.has(name);

function values(line: string): Record<string, string> {
  return Object.fromEntries([...readLineFields(line, isTaken).fields].map(([name, { value }]) => [name, value]));
}

describe('fields of a line', () => {
  test('are the leaves of a JSON object, with the keys that lead to them', () => {
    const { parser, fields } = readLineFields(
      '{"a.b":1,"n":{"x y":{"z":true},"":2},"list":[1],"no":null,"app":"w"}',
      isTaken,
    );
    assert.equal(parser, 'json');
    assert.deepEqual(Object.fromEntries(fields), {
      a_b: { value: '1', path: ['a.b'] },
      n_x_y_z: { value: 'true', path: ['n', 'x y', 'z'] },
      n: { value: '2', path: ['n', ''] },
      app_extracted: { value: 'w', path: ['app'] },
    });
  });

  test('count once a name: the first one', () => {
    const { fields } = readLineFields('{"k y":"space","k.y":"dot"}', isTaken);
    assert.deepEqual(Object.fromEntries(fields), { k_y: { value: 'space', path: ['k y'] } });
  });

  test('are logfmt pairs where the line is no JSON object to its end, without empty and bare ones', () => {
    assert.deepEqual(readLineFields('{"a":1', isTaken), { parser: 'logfmt', fields: new Map() });
    const { parser, fields } = readLineFields('level=info app=x msg="a \\"b\\"" empty= bare', isTaken);
    assert.equal(parser, 'logfmt');
    assert.deepEqual(Object.fromEntries(fields), {
      level: { value: 'info', path: null },
      app_extracted: { value: 'x', path: null },
      msg: { value: 'a "b"', path: null },
    });
  });

  test('are read to the end of the object; what follows does not count', () => {
    assert.deepEqual(values('{"dup":"one"}{"dup":"two"}'), { dup: 'one' });
  });

  test('are those of the stage of that name', () => {
    const key = fc.constantFrom('a', 'b c', 'a_b', 'é', '', 'app', 'x"y');
    const value = fc.letrec((tie) => ({
      leaf: fc.oneof(fc.string(), fc.double({ noNaN: true }), fc.boolean(), fc.constant(null)),
      node: fc.oneof({ depthSize: 'small' }, tie('leaf'), fc.dictionary(key, tie('node')), fc.array(tie('leaf'))),
    })).node;
    const json = fc.dictionary(key, value).map((object) => JSON.stringify(object));
    const cut = fc.tuple(json, fc.nat(60)).map(([text, length]) => text.slice(0, length));
    const logfmt = fc
      .array(fc.constantFrom('a=1', 'b="x y"', 'app=z', 'c=', 'd', '="', 'a=2', 'é=1'))
      .map((p) => p.join(' '));
    fc.assert(
      fc.property(fc.oneof(json, cut, logfmt), (line) => {
        const { parser, fields } = readLineFields(line, isTaken);
        const [ran] = runLines(`| ${parser}`, [line]);
        const own = Object.fromEntries([...fields].map(([name, field]) => [name, field.value]));
        assert.deepEqual(own, Object.fromEntries(ran!.labels.parsed));
      }),
    );
  });
});
