import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseTailParams } from './tail-params.ts';

const parse = (query: string) => parseTailParams(new URLSearchParams({ query }), 0n);

describe('parseTailParams', () => {
  it('refuses a query whose stages cannot run, before anything follows it', () => {
    for (const stage of ['|~ "("', '| line_format "{{.x"', '| label_format a="{{nofunc}}"', '| json x="["']) {
      assert.throws(() => parse(`{app="a"} ${stage}`), { code: /./ }, stage);
    }
    assert.equal(parse('{app="a"} |~ "(a)" | line_format "{{.x}}"').query.stages.length, 2);
  });

  it('tells a metric query from a wrong one', () => {
    assert.throws(() => parse('rate({app="a"}[1m])'), { code: 'tail_of_metrics' });
    assert.throws(() => parse('{'), { code: 'parse_error' });
  });
});
