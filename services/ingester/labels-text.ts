import { type Labels, sortLabels } from '../../logql/labels.ts';
import { unquoteGo } from '../../logql/units/index.ts';

export class BadLabelsError extends Error {
  readonly code = 'bad_labels';
}

/** Reads stream labels in the one form that a distributor writes: `{a="b", c="d"}`, values quoted as Go quotes them. */
export function parseCanonicalLabels(text: string): Labels {
  const labels: [string, string][] = [];
  const bad = () => new BadLabelsError(`not the labels of a stream: ${text}`);
  if (text[0] !== '{' || text.at(-1) !== '}') throw bad();
  let at = 1;
  while (at < text.length - 1) {
    const equals = text.indexOf('="', at);
    if (equals < 0) throw bad();
    let end = equals + 2;
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
    if (end >= text.length) throw bad();
    const quoted = text.slice(equals + 1, end + 1);
    labels.push([text.slice(at, equals), quoted.includes('\\') ? unquoteGo(quoted) : quoted.slice(1, -1)]);
    at = end + 1;
    if (text.startsWith(', ', at)) at += 2;
    else if (at !== text.length - 1) throw bad();
  }
  return sortLabels(labels);
}
