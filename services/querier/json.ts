import type { Labels } from '../../logql/labels.ts';
import { formatSampleValue } from '../../logql/units/float.ts';

/**
 * Go's JSON text of a string: what JSON.stringify writes, and with `html` the characters `<`, `>`, `&` and the two
 * line separators escaped, as Loki writes log lines.
 */
export function jsonString(text: string, html: boolean): string {
  const quoted = JSON.stringify(text.isWellFormed() ? text : text.toWellFormed());
  return html && HTML.test(quoted) ? quoted.replace(HTML_ALL, (c) => HTML_ESCAPES[c]!) : quoted;
}

const HTML = /[<>&\u2028\u2029]/;
const HTML_ALL = /[<>&\u2028\u2029]/g;
const HTML_ESCAPES: Record<string, string> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
};

export function jsonLabels(labels: Labels): string {
  let out = '{';
  for (let i = 0; i < labels.length; i++) {
    const [name, value] = labels[i]!;
    out += `${i ? ',' : ''}${jsonString(name, false)}:${jsonString(value, false)}`;
  }
  return `${out}}`;
}

/** Milliseconds as Prometheus prints a time: seconds with up to three decimals, none when they are zero. */
export function jsonSeconds(ms: number): string {
  const negative = ms < 0;
  const whole = Math.trunc(Math.abs(ms) / 1000);
  const rest = Math.round(Math.abs(ms) - whole * 1000);
  const fraction = rest === 0 ? '' : `.${String(rest).padStart(3, '0').replace(/0+$/, '')}`;
  return `${negative ? '-' : ''}${whole}${fraction}`;
}

export function jsonSample(ms: number, value: number): string {
  return `[${jsonSeconds(ms)},"${formatSampleValue(value)}"]`;
}
