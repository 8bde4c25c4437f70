import { printLabels } from '../../logql/syntax/index.ts';
import { formatRfc3339Nano } from '../../logql/units/rfc3339.ts';
import type { HttpResponse } from '../http/types.ts';
import { jsonString } from './json.ts';
import { groupEntries } from './log-response.ts';
import type { QueryAnswer } from './querier.ts';
import { JSON_TYPE } from './query-response.ts';
import { renderStats } from './stats.ts';

/** The answer of `/api/prom/query`. */
export function renderLegacy(answer: QueryAnswer): HttpResponse {
  if (answer.kind !== 'streams') throw new TypeError('the legacy query answers lines only');
  const streams = groupEntries(answer.entries, false).map((stream) => {
    const entries = stream.entries.map(
      (entry) => `{"ts":"${formatRfc3339Nano(entry.timestampNs)}","line":${jsonString(entry.line, true)}}`,
    );
    return `{"labels":${jsonString(printLabels(stream.labels), true)},"entries":[${entries.join(',')}]}`;
  });
  const stats = JSON.stringify(renderStats(answer.stats));
  return { status: 200, headers: JSON_TYPE, body: `{"streams":[${streams.join(',')}],"stats":${stats}}\n` };
}
