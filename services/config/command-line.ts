import { acceptedKeys } from './accepted-keys.ts';
import { Field, FieldError, parseScalar, walkFields } from './field.ts';
import { schema } from './schema.ts';

/** Switches that are not part of the configuration itself. */
export interface Switches {
  readonly configFile: string | undefined;
  readonly expandEnv: boolean;
  readonly verifyConfig: boolean;
  readonly printConfig: boolean;
  readonly help: boolean;
  readonly version: boolean;
  readonly listTargets: boolean;
  readonly hashPassword: boolean;
  readonly health: boolean;
  readonly healthUrl: string;
}

export interface CommandLine {
  readonly switches: Switches;
  /** Path of a field → value, converted. */
  readonly values: ReadonlyMap<string, unknown>;
  /** Flags of Loki that have no effect here. */
  readonly ignored: readonly string[];
  readonly problems: readonly string[];
}

const SWITCH_FIELDS = {
  'config.file': new Field<string>(
    'string',
    '',
    'config.file',
    'Configuration files, a comma list; the first that exists is read.',
  ),
  'config.expand-env': new Field<boolean>(
    'bool',
    false,
    'config.expand-env',
    'Replace ${VAR} and ${VAR:-default} in the file.',
  ),
  'verify-config': new Field<boolean>('bool', false, 'verify-config', 'Check the configuration and end.'),
  'print-config-stderr': new Field<boolean>(
    'bool',
    false,
    'print-config-stderr',
    'Write the whole configuration to standard error at start.',
  ),
  'log-config-reverse-order': new Field<boolean>('bool', false, 'log-config-reverse-order', 'The same.'),
  help: new Field<boolean>('bool', false, 'help', 'Print this text and end.'),
  h: new Field<boolean>('bool', false, 'h', 'The same.'),
  version: new Field<boolean>('bool', false, 'version', 'Print the version and end.'),
  'list-targets': new Field<boolean>('bool', false, 'list-targets', 'Print what -target takes and end.'),
  'hash-password': new Field<boolean>(
    'bool',
    false,
    'hash-password',
    'Read a password from standard input, print its hash for access.users_file and end.',
  ),
  health: new Field<boolean>(
    'bool',
    false,
    'health',
    'Ask a running server whether it is ready; ends with 0 if it is.',
  ),
  'health.url': new Field<string>('string', 'http://localhost:3100/ready', 'health.url', 'Where -health asks.'),
} as const;

/** Fields by flag, with their paths. */
export function fieldsByFlag(): ReadonlyMap<string, { readonly path: string; readonly field: Field<unknown> }> {
  const byFlag = new Map<string, { path: string; field: Field<unknown> }>();
  walkFields(schema, (path, field) => {
    if (field.flag !== '') byFlag.set(field.flag, { path, field });
  });
  return byFlag;
}

/** Reads `-name=value`, `-name value` and, for switches, `-name`, with one dash or two, as Go's flags do. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const byFlag = fieldsByFlag();
  const values = new Map<string, unknown>();
  const switches = new Map<string, unknown>();
  const ignored: string[] = [];
  const problems: string[] = [];

  for (let at = 0; at < args.length; at++) {
    const match = /^--?([^-=][^=]*)(?:=([\s\S]*))?$/.exec(args[at]!);
    if (match === null) {
      problems.push(`${args[at]}: expected a flag such as -server.http-listen-port=3100`);
      continue;
    }
    const name = match[1]!;
    const asSwitch = (SWITCH_FIELDS as Readonly<Record<string, Field<unknown>>>)[name];
    const known = byFlag.get(name);
    const accepted = asSwitch || known ? undefined : acceptedKeys().byFlag.get(name);
    const field = asSwitch ?? known?.field ?? accepted?.field;
    if (field === undefined && accepted === undefined) {
      problems.push(`-${name}: no such flag; -help lists them`);
      continue;
    }
    let value = match[2];
    if (value === undefined && field?.kind === 'bool') value = 'true';
    if (value === undefined) {
      value = args[++at];
      if (value === undefined) {
        problems.push(`-${name}: expected a value`);
        continue;
      }
    }
    try {
      const parsed = field === undefined ? value : parseScalar(field, value);
      if (asSwitch) switches.set(name, parsed);
      else if (known) values.set(known.path, parsed);
      else ignored.push(`-${name}`);
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      problems.push(`-${name}: ${error.message}`);
    }
  }
  const isOn = (...names: string[]): boolean => names.some((name) => switches.get(name) === true);
  return {
    switches: {
      configFile: switches.get('config.file') as string | undefined,
      expandEnv: isOn('config.expand-env'),
      verifyConfig: isOn('verify-config'),
      printConfig: isOn('print-config-stderr', 'log-config-reverse-order'),
      help: isOn('help', 'h'),
      version: isOn('version'),
      listTargets: isOn('list-targets'),
      hashPassword: isOn('hash-password'),
      health: isOn('health'),
      healthUrl: (switches.get('health.url') as string | undefined) ?? SWITCH_FIELDS['health.url'].default,
    },
    values,
    ignored,
    problems,
  };
}

/** The text of `-help`. */
export function helpText(present: (field: Field<unknown>, value: unknown) => unknown): string {
  const lines: string[] = [
    'Usage: loptr [flags]',
    '',
    'Without a configuration file everything runs in one process and data lies in ./data.',
    '',
  ];
  const add = (field: Field<unknown>): void => {
    const shown = present(field, field.default);
    const standing = shown === '' || shown === undefined || field.kind === 'structured' ? '' : ` (default ${shown})`;
    lines.push(
      `  -${field.flag}`,
      `        ${field.about}${field.rules.ignored ? ' Without effect here.' : ''}${standing}`,
    );
  };
  for (const field of Object.values(SWITCH_FIELDS)) add(field);
  for (const [, { field }] of [...fieldsByFlag()].sort(([a], [b]) => (a < b ? -1 : 1))) add(field);
  lines.push('', "Loki's other flags are taken and have no effect; a warning names them.");
  return `${lines.join('\n')}\n`;
}
