import { existsSync, readFileSync } from 'node:fs';
import { type CommandLine, parseCommandLine } from './command-line.ts';
import { contradictions } from './contradictions.ts';
import { expandEnvironment } from './expand-environment.ts';
import { type Field, FieldError, type Group, walkFields } from './field.ts';
import { readYaml } from './read-yaml.ts';
import { type Config, schema } from './schema.ts';

export interface LoadedConfig {
  readonly config: Config;
  readonly commandLine: CommandLine;
  /** The file that was read; undefined when the program runs on its own defaults. */
  readonly file: string | undefined;
  readonly warnings: readonly string[];
}

/** Everything that is wrong with the configuration, one line each. */
export class ConfigError extends Error {
  readonly code = 'bad_config';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

export interface LoadOptions {
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly readFile?: (path: string) => string;
  readonly fileExists?: (path: string) => boolean;
}

/** Where a file is looked for when `-config.file` names none; it need not exist. */
const USUAL_FILES = ['config.yaml', 'config/config.yaml'];

/**
 * Defaults, then the file, then the command line. Without a file the program's own defaults hold: no authentication.
 * Throws ConfigError with all problems at once.
 */
export function loadConfig(args: readonly string[], options: LoadOptions = {}): LoadedConfig {
  const { environment = {}, readFile = (path) => readFileSync(path, 'utf8'), fileExists = existsSync } = options;
  const commandLine = parseCommandLine(args);
  const problems = [...commandLine.problems];
  const ignored = [...commandLine.ignored];
  const values = new Map<string, unknown>();

  const named = commandLine.switches.configFile;
  const candidates = named === undefined ? USUAL_FILES : named.split(',').map((path) => path.trim());
  const file = candidates.find((path) => path !== '' && fileExists(path));
  if (file === undefined && named !== undefined) {
    problems.push(`${named} does not exist, set -config.file to the path of a configuration file`);
  }
  if (file === undefined) values.set('auth_enabled', false);
  else {
    const found = readConfigFile(file, readFile, commandLine.switches.expandEnv ? environment : undefined);
    problems.push(...found.problems);
    ignored.push(...found.ignored);
    for (const [path, value] of found.values) values.set(path, value);
  }
  for (const [path, value] of commandLine.values) values.set(path, value);
  // Loki's default, for more than one process: who brings a file along relies on it.
  if (values.get('common.ring.kvstore.store') === 'etcd' && !values.has('common.replication_factor')) {
    values.set('common.replication_factor', 3);
  }
  problems.push(
    ...ignored
      .filter(isDangerousToIgnore)
      .map(
        (name) =>
          `${name}: has no effect here; certificates and keys are taken from files (cert_file, key_file, client_ca_file)`,
      ),
  );
  const config = buildConfig(schema, values) as Config;
  problems.push(...contradictions(config));
  if (problems.length > 0) throw new ConfigError(problems);

  walkFields(schema, (path, field) => {
    if (field.rules.ignored && values.has(path) && !sameValue(values.get(path), field.default)) ignored.push(path);
  });
  const warnings =
    ignored.length === 0
      ? []
      : [`these settings of Loki have no effect here: ${[...new Set(ignored)].sort().join(', ')}`];
  return { config, commandLine, file, warnings };
}

function readConfigFile(
  file: string,
  readFile: (path: string) => string,
  environment: Readonly<Record<string, string | undefined>> | undefined,
): Pick<ReturnType<typeof readYaml>, 'values' | 'ignored' | 'problems'> {
  try {
    let source = readFile(file);
    if (environment !== undefined) source = expandEnvironment(source, environment);
    return readYaml(source, file, schema);
  } catch (error) {
    if (error instanceof FieldError || (error instanceof Error && 'syscall' in error)) {
      return { values: new Map(), ignored: [], problems: [`${file}: ${error.message}`] };
    }
    throw error;
  }
}

/** Who asks for TLS must not get plain text with a warning. */
const isDangerousToIgnore = (name: string): boolean =>
  /^(server\.(http|grpc)_tls_config\.|-server\.(http|grpc)-tls-)/.test(name);

/** A nested object of all fields of `group`: `values` by path, defaults where it has none. */
export function buildConfig(group: Group, values: ReadonlyMap<string, unknown>, prefix = ''): unknown {
  const built: Record<string, unknown> = {};
  walkFields(group, (path, field) => {
    const parts = path.split('.');
    const last = parts.pop()!;
    let place = built;
    for (const part of parts) place = (place[part] ??= {}) as Record<string, unknown>;
    const full = prefix + path;
    place[last] = values.has(full) ? values.get(full) : field.default;
  });
  return built;
}

/** The value at `path` of what `buildConfig` made. */
export function valueAt(config: unknown, path: string): unknown {
  let value = config;
  for (const part of path.split('.')) value = (value as Record<string, unknown>)[part];
  return value;
}

export function isDefault(config: unknown, path: string, field: Field<unknown>): boolean {
  return sameValue(valueAt(config, path), field.default);
}

function sameValue(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
