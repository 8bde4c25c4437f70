import { existsSync, readFileSync } from 'node:fs';
import { type CommandLine, parseCommandLine } from './command-line.ts';
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

/** Values that are each right and cannot stand together. */
function contradictions(config: Config): string[] {
  const problems: string[] = [];
  if (config.common.replication_factor > 1) {
    problems.push(
      `common.replication_factor: one process is one ingester, so only 1 can be had, got ${config.common.replication_factor}`,
    );
  }
  const store = config.schema_config.configs.at(-1)?.object_store;
  if (store === 's3' || store === 'aws') {
    const { aws } = config.storage_config;
    const { s3 } = config.common.storage;
    if ([aws.bucketnames, aws.s3, s3.bucketnames, s3.s3].every((text) => text === '')) {
      problems.push(
        'schema_config: object_store is s3, expected storage_config.aws.bucketnames or common.storage.s3.bucketnames',
      );
    }
  }
  if (config.compactor.retention_enabled && config.compactor.delete_request_store === '') {
    problems.push(
      'invalid compactor config: compactor.delete-request-store should be configured when retention is enabled',
    );
  }
  for (const name of ['http_tls_config', 'grpc_tls_config'] as const) {
    const { cert_file: cert, key_file: key, client_auth_type: clientAuth, client_ca_file: ca } = config.server[name];
    const verifies = clientAuth === 'VerifyClientCertIfGiven' || clientAuth === 'RequireAndVerifyClientCert';
    const problem = (text: string) => problems.push(`server.${name}: ${text}`);
    if ((cert === '') !== (key === '')) problem('cert_file and key_file must be set together');
    if (cert === '' && (ca !== '' || clientAuth !== '')) problem('client_auth_type and client_ca_file need cert_file');
    if (verifies && ca === '') problem(`client_auth_type ${clientAuth} needs client_ca_file`);
    if (ca !== '' && !verifies) problem('client_ca_file is set, but client_auth_type does not verify certificates');
  }
  const prefix = config.server.http_path_prefix || config.http_prefix;
  if (prefix !== '' && !prefix.startsWith('/')) {
    problems.push(`server.http_path_prefix: expected a path that begins with /, got ${JSON.stringify(prefix)}`);
  }
  return problems;
}

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
