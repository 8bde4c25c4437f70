import { stringify } from 'yaml';
import { type Field, type Group, walkFields } from './field.ts';
import { presentValue } from './format-value.ts';
import type { Limits } from './limits.ts';
import { limitsFields } from './limits-fields.ts';
import { buildConfig, isDefault, valueAt } from './load.ts';
import { type Config, schema } from './schema.ts';

export type PrintMode = 'effective' | 'defaults' | 'diff';

/** The configuration as YAML that reads back; secrets are masked. `diff`: only what differs from the defaults. */
export function printConfig(config: Config, mode: PrintMode = 'effective'): string {
  const shown = mode === 'defaults' ? buildConfig(schema, new Map()) : config;
  const keep = mode === 'diff' ? (path: string, field: Field<unknown>) => !isDefault(config, path, field) : () => true;
  return stringify(presentGroup(schema, shown, keep), { lineWidth: 0 });
}

/** Limits as YAML and JSON show them, only those in `names` when it is given. */
export function presentLimits(limits: Limits, names?: readonly string[]): Readonly<Record<string, unknown>> {
  const wanted = names === undefined ? undefined : new Set(names);
  return presentGroup(limitsFields, limits, (path) => wanted === undefined || wanted.has(path.split('.')[0]!));
}

/** As `presentLimits`, only those that differ from `base`. */
export function presentLimitsDiff(limits: Limits, base: Limits): Readonly<Record<string, unknown>> {
  const shown = presentLimits(limits);
  const others = presentLimits(base);
  return Object.fromEntries(
    Object.entries(shown).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(others[name])),
  );
}

function presentGroup(
  group: Group,
  values: unknown,
  keep: (path: string, field: Field<unknown>) => boolean,
): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  walkFields(group, (path, field) => {
    if (!keep(path, field)) return;
    const parts = path.split('.');
    const last = parts.pop()!;
    let place = out;
    for (const part of parts) place = (place[part] ??= {}) as Record<string, unknown>;
    place[last] = presentValue(field, valueAt(values, path));
  });
  return out;
}

/** docs/configuration.md: every key that this program knows by itself. */
export function configurationDocs(): string {
  const lines = [
    '# Configuration',
    '',
    '<!-- Written by `npm run docs` from services/config; a test compares. -->',
    '',
    "Configuration is Loki's: YAML read with `-config.file=a.yaml,b.yaml` (the first that exists), and every key has a",
    'command line flag, which wins. Without a file the program looks for `config.yaml` and `config/config.yaml`, and',
    'without those it runs on its own defaults: no authentication, one process, data in `./data`.',
    '',
    'A key that Loki does not know is refused with its line. A key that Loki knows and that has no meaning here is',
    'checked, taken, and named in one warning at start; so is one of the table marked *no effect*.',
    '`-config.expand-env` replaces `${VAR}` and `${VAR:-default}`. `-verify-config` checks and ends.',
    '',
    'Sizes (`1536KB`, `4MB`, or bytes) are to the base of 1024. Durations: `30s`, `1h30m`, `7d`.',
    '*Own* marks keys that Loki does not have.',
  ];
  let section = '';
  walkFields(schema, (path, field) => {
    const name = path.includes('.') ? path.split('.')[0]! : '';
    if (name !== section || lines.at(-1)?.startsWith('*Own*')) {
      section = name;
      lines.push(
        '',
        `## ${name === '' ? 'Top level' : name}`,
        '',
        '| Key | Default | Meaning | Flag |',
        '| --- | --- | --- | --- |',
      );
    }
    const notes = [
      field.rules.choices ? `One of ${namedChoices(field).join(', ')}.` : '',
      field.rules.ignored ? '*No effect.*' : '',
      field.rules.own ? '*Own.*' : '',
    ];
    const about = [field.about, ...notes].filter((part) => part !== '').join(' ');
    const flag = field.flag === '' ? '' : `\`-${field.flag}\``;
    const key = section === '' ? path : path.slice(section.length + 1);
    lines.push(`| \`${key}\` | ${defaultText(field)} | ${escapeCell(about)} | ${flag} |`);
  });
  return `${lines.join('\n')}\n`;
}

const namedChoices = (field: Field<unknown>): string[] =>
  (field.rules.choices ?? []).filter((choice) => choice !== '').map((choice) => `\`${choice}\``);

function defaultText(field: Field<unknown>): string {
  const value = presentValue({ ...field, rules: {} }, field.default);
  if (value === '' || value === null) return '';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text === '[]' || text === '{}' ? '' : `\`${escapeCell(Array.isArray(value) ? value.join(', ') : text)}\``;
}

const escapeCell = (text: string): string => text.replaceAll('|', '\\|');
