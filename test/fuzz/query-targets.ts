import assert from 'node:assert/strict';
import { RE2JS, RE2JSException } from 're2js';
import { planQuery } from '../../logql/plan/index.ts';
import { compileRegex } from '../../logql/regex/index.ts';
import { checkStages, compilePipeline } from '../../logql/stages/index.ts';
import { blockOf } from '../../logql/stages/testing/block-of.ts';
import {
  formatQuery,
  parseLabelsString,
  parseLogSelector,
  parseMatchers,
  parseQuery,
  printExpr,
} from '../../logql/syntax/index.ts';
import { compileTemplate, TemplateError } from '../../logql/template/index.ts';
import { quoteGo } from '../../logql/units/index.ts';
import {
  LINE_TOKENS,
  LINES,
  PATTERN_TOKENS,
  PATTERNS,
  QUERY_TOKENS,
  queries,
  TEMPLATE_TOKENS,
  TEMPLATES,
} from './corpus.ts';
import { mutateBytes, mutateText } from './mutate.ts';
import { expecting, type Target } from './target.ts';

/** What a query may be refused with; over HTTP all of them are answers with 4xx, but for Loki's own 500 of approx_topk. */
const REFUSALS = ['parse_error', 'bad_stage', 'bad_regex', 'unsupported_query', 'query_not_enabled'];

const PARAMS = {
  startNs: 1_795_168_800_000_000_000n,
  endNs: 1_795_172_400_000_000_000n,
  stepNs: 60_000_000_000n,
  intervalNs: 0n,
  limit: 100,
  direction: 'backward',
  instantSplitNs: 3_600_000_000_000n,
} as const;

/** Parse, print, parse: the same query. What parses can be planned, or is refused in words. */
function queryTarget(): Target {
  const corpus = queries();
  return {
    name: 'query',
    run(random) {
      const text = mutateText(random, random.pick(corpus), corpus, QUERY_TOKENS);
      const expr = expecting(REFUSALS, () => parseQuery(text));
      if (expr === null) return;
      const printed = printExpr(expr);
      const again = expecting(REFUSALS, () => parseQuery(printed));
      // Loki's printer does not always print what its parser takes; but what parses again must mean the same.
      if (again !== null) assert.equal(printExpr(again), printed, 'printing is not stable');
      const pretty = expecting(REFUSALS, () => parseQuery(formatQuery(expr)));
      if (again !== null && pretty !== null)
        assert.equal(printExpr(pretty), printed, 'pretty printing changes a query');
      expecting(REFUSALS, () => {
        checkStages(expr);
        return planQuery(expr, { ...PARAMS, instant: random.below(2) === 0 });
      });
    },
  };
}

const LABEL_STRINGS = [
  '{}',
  '{app="web"}',
  '{app="web", env="prod"}',
  '{a="\\"\\n\\u00e9\\x41",b=""}',
  '{__name__="x",a="1"}',
  'metric{a="1"}',
  '{"quoted.name"="x"}',
  "{a='single'}",
];
const labelsTarget: Target = {
  name: 'labels',
  run(random) {
    // As it comes out of UTF-8. What stands for bytes that are none cannot be written in a string.
    const text = mutateText(random, random.pick(LABEL_STRINGS), LABEL_STRINGS, QUERY_TOKENS).toWellFormed();
    const labels = expecting(['parse_error'], () => parseLabelsString(text));
    if (labels !== null && !JSON.stringify(labels).includes('\ufffd')) {
      const printed = `{${labels.map(([name, value]) => `${/^\w+$/.test(name) ? name : quoteGo(name)}=${quoteGo(value)}`).join(', ')}}`;
      assert.deepEqual(parseLabelsString(printed), labels);
    }
    expecting(['parse_error', 'bad_regex'], () => parseMatchers(text));
  },
};

const STAGES = [
  '| json',
  '| json | json | level="x"',
  '| json x="a", y="o.p.q", z="l[2].three", w="[0]", v="[\\"h-i\\"]"',
  '| logfmt',
  '| logfmt --strict --keep-empty',
  '| logfmt --strict a, b="ms", c="level"',
  '| pattern "<a> <_> <b>"',
  '| pattern "level=<level> <_>"',
  '| regexp "(?P<a>\\\\w+)=(?P<b>[^ ]*)"',
  '| unpack | json',
  '| decolorize | line_format "{{.a}} {{__line__}}" | logfmt',
  '|= "error" != "warn" |~ "a+" !~ "(?i)ERROR"',
  '|> "<_>a<_>" !> "x<_>"',
  '|= ip("10.0.0.0/8") or "x"',
  '!= ip("fe80::/10")',
  '| logfmt | ms > 1s or size >= 10KB or a != 2, app = ip("10.0.0.1")',
  '| json | label_format a=n, b="{{.a}}{{.t}}", n="{{div 1 .n}}" | keep a, b="x", __error__',
  '| json | drop a, o_p_q=~".+" | __error__=""',
  '| line_format "{{range $k, $v := .}}{{$k}}={{$v}} {{end}}" | logfmt | a=~".*"',
];

/** All extractors over broken lines, valid UTF-8 or not, as log queries and with groupings: nothing throws. */
function stagesTarget(): Target {
  const pipelines = STAGES.flatMap((text) => {
    const { stages } = parseLogSelector(`{app="x"} ${text}`);
    const unwrap = { label: 'a', conversion: 'bytes', postFilters: [] } as const;
    return [
      compilePipeline({ stages, grouping: { kind: 'categories' } }),
      compilePipeline({ stages, grouping: { kind: 'by', labels: ['a', 'level'] } }),
      compilePipeline({ stages, grouping: { kind: 'without', labels: ['n'] }, unwrap }),
    ];
  });
  return {
    name: 'stages',
    run(random) {
      const text = mutateText(random, random.pick(LINES), LINES, LINE_TOKENS);
      const line = random.below(3) === 0 ? mutateBytes(random, Buffer.from(text)) : text;
      const block = blockOf([text.slice(0, 5), line], { metadata: [{ a: 'm' }, { level: text }] });
      const pipeline = random.pick(pipelines);
      pipeline.open(block, [['app', 'x']]);
      const rows = Uint32Array.of(0, 1);
      const count = pipeline.filter(rows, 2);
      for (let i = 0; i < count; i++) {
        if (!pipeline.run(rows[i]!)) continue;
        const { merged } = pipeline.groups[pipeline.group]!;
        const names = merged.map(([name]) => name);
        assert.deepEqual(names, [...new Set(names)].sort(), 'labels are sorted and unique');
        assert.ok(pipeline.line().length <= pipeline.lineBytes);
      }
    },
  };
}

const OPERANDS = ['a.b["c"][0]', '[0].x', '<a> <b>', '<_>', '10.0.0.0/8', '::1-::9', 'a', '{{.a}}', '(?P<x>a)'];

/** Operands of stages: refused with words, or good for a scan. */
const operandsTarget: Target = {
  name: 'operands',
  run(random) {
    const value = quoteGo(mutateText(random, random.pick(OPERANDS), OPERANDS, [...PATTERN_TOKENS, ...LINE_TOKENS]));
    const stage = random.pick([
      `| json x=${value}`,
      `| logfmt x=${value}`,
      `| pattern ${value}`,
      `| regexp ${value}`,
      `|> ${value}`,
      `|~ ${value}`,
      `|= ip(${value})`,
      `| x=ip(${value})`,
      `| x=~${value}`,
      `| line_format ${value}`,
    ]);
    const expr = expecting(REFUSALS, () => {
      const parsed = parseLogSelector(`{app="x"} ${stage}`);
      checkStages(parsed);
      return parsed;
    });
    if (expr === null) return;
    const pipeline = compilePipeline({ stages: expr.stages, grouping: { kind: 'categories' } });
    pipeline.open(blockOf([random.pick(LINES)]), [['app', 'x']]);
    const rows = Uint32Array.of(0);
    if (pipeline.filter(rows, 1) === 1) pipeline.run(0);
  },
};

const LABELS: Readonly<Record<string, string>> = {
  a: 'two Words é😀',
  b: '',
  n: '12.5',
  s: '10KB',
  d: '1m30s',
  j: '{"a":[1,{"b":null}],"c":"d"}',
};
const templatesTarget: Target = {
  name: 'templates',
  run(random) {
    const text = mutateText(random, random.pick(TEMPLATES), TEMPLATES, TEMPLATE_TOKENS);
    expecting([TemplateError], () =>
      compileTemplate(text, 'line').execute({
        get: (name) => (Object.hasOwn(LABELS, name) ? LABELS[name] : undefined),
        entries: () => Object.entries(LABELS),
        line: () => 'the line',
        timestampNs: () => 1_795_168_800_123_456_789n,
      }),
    );
  },
};

/** Whatever engine runs a pattern, it finds what RE2 finds. */
const regexTarget: Target = {
  name: 'regex',
  run(random) {
    const pattern = mutateText(random, random.pick(PATTERNS), PATTERNS, PATTERN_TOKENS);
    const anchored = random.below(3) === 0;
    const regex = expecting(['bad_regex'], () => compileRegex(pattern, { anchored }));
    if (regex === null) return;
    const text = mutateText(random, random.pick(LINES), PATTERNS, LINE_TOKENS).toWellFormed();
    const found = regex.exec(text);
    assert.equal(regex.test(text), found !== null);
    const re2 = referenceOf(anchored ? `^(?:${pattern})$` : pattern)?.matcher(text);
    if (re2 === undefined) return;
    assert.equal(found !== null, re2.find());
    if (found !== null) assert.deepEqual([found.index, found.groups[0]], [re2.start(), re2.group()]);
  },
};

function referenceOf(pattern: string): RE2JS | null {
  try {
    return RE2JS.compile(pattern);
  } catch (error: unknown) {
    if (error instanceof RE2JSException) return null;
    throw error;
  }
}

export function queryTargets(): Target[] {
  return [queryTarget(), labelsTarget, stagesTarget(), operandsTarget, templatesTarget, regexTarget];
}
