/** One event as `level=info ts=… msg="a text" key=value`, in the order of Loki's log. Nested values become JSON. */
export function formatLogfmt(event: Readonly<Record<string, unknown>>): string {
  const { level, ts, msg, err, ...fields } = event;
  const pairs: [string, unknown][] = [['level', level], ['ts', ts], ['msg', msg], ...Object.entries(fields)];
  if (err !== undefined) pairs.push(...errorPairs(err));
  return `${pairs.map(([name, value]) => `${name}=${formatValue(value)}`).join(' ')}\n`;
}

/** An error's message, and its stack with that of its causes, on the same line. */
function errorPairs(err: unknown): [string, unknown][] {
  if (err === null || typeof err !== 'object') return [['err', err]];
  const { message, stack, code } = err as { message?: unknown; stack?: unknown; code?: unknown };
  const pairs: [string, unknown][] = [['err', message ?? JSON.stringify(err)]];
  if (code !== undefined) pairs.push(['err_code', code]);
  if (stack !== undefined) pairs.push(['stack', stack]);
  return pairs;
}

function formatValue(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return text !== '' && !/[\s"=\\\p{Cc}]/u.test(text) ? text : JSON.stringify(text);
}
