import { readFile } from 'node:fs/promises';
import { isMap, isScalar, parseDocument } from 'yaml';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import type { Limits, LimitsProvider } from './limits.ts';
import { limitsFields } from './limits-fields.ts';
import { buildConfig, ConfigError } from './load.ts';
import { readYaml } from './read-yaml.ts';

/** What differs from `limits_config`, by tenant: `overrides: {tenant: {max_line_size: 1MB}}`. */
export type Overrides = ReadonlyMap<string, Limits>;

/** Reads the text of a runtime file on top of `base`. Throws ConfigError. */
export function readOverrides(source: string, fileName: string, base: Limits): Overrides {
  const document = parseDocument(source, { version: '1.1', merge: true, prettyErrors: false });
  const problems = document.errors.map((error) => `${fileName}: ${error.message}`);
  const overrides = new Map<string, Limits>();
  const root = document.contents;
  if (root !== null && !isMap(root) && !(isScalar(root) && root.value === null)) {
    problems.push(`${fileName}: expected a mapping with the key overrides`);
  }
  const tenants = isMap(root) ? root.get('overrides', true) : undefined;
  if (isMap(root)) {
    for (const pair of root.items) {
      const key = String(isScalar(pair.key) ? pair.key.value : pair.key);
      if (!['overrides', 'configs', 'multi_kv_config'].includes(key)) problems.push(`${fileName}: unknown key ${key}`);
    }
  }
  for (const pair of isMap(tenants) ? tenants.items : []) {
    const tenant = String(isScalar(pair.key) ? (pair.key.source ?? pair.key.value) : pair.key);
    // Padded to the line it stands in, so that problems name the line of the file.
    const [start, , end] = (pair.value as { range?: [number, number, number] } | null)?.range ?? [0, 0, 0];
    const padded = source.slice(0, start).replace(/[^\n]/g, ' ') + source.slice(start, end);
    const found = readYaml(padded, fileName, limitsFields, 'limits_config.');
    problems.push(...found.problems.map((problem) => `${problem} (tenant ${tenant})`));
    const values = new Map(found.values);
    overrides.set(tenant, mergeLimits(base, values));
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return overrides;
}

/** A value of a tenant replaces that of the key whole; maps and lists are not merged. */
function mergeLimits(base: Limits, values: ReadonlyMap<string, unknown>): Limits {
  const own = buildConfig(limitsFields, values, 'limits_config.') as Limits;
  const merged: Record<string, unknown> = { ...base };
  for (const path of values.keys()) {
    const [, key, inner] = path.split('.');
    const value = (own as unknown as Record<string, unknown>)[key!];
    merged[key!] =
      inner === undefined ? value : { ...(merged[key!] as object), [inner]: (value as Record<string, unknown>)[inner] };
  }
  return merged as unknown as Limits;
}

export interface TenantLimitsOptions {
  readonly base: Limits;
  /** Files, later ones win; none: every tenant has `base`. */
  readonly files: readonly string[];
  readonly periodMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Limits by tenant, read again from the runtime files every period. A file that went wrong leaves the old values. */
export class TenantLimits implements LimitsProvider {
  readonly #options: TenantLimitsOptions;
  #overrides: Overrides = new Map();
  #lastText = '';
  #isHealthy = true;
  #stopping = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(options: TenantLimitsOptions) {
    this.#options = options;
  }

  for(tenant: string): Limits {
    return this.#overrides.get(tenant) ?? this.#options.base;
  }

  /** The limits of the tenants that the files name. */
  get overrides(): Overrides {
    return this.#overrides;
  }

  /** False while the files cannot be read; the limits of the last good reading hold. */
  get isHealthy(): boolean {
    return this.#isHealthy;
  }

  /** Reads the files once (throws when they are wrong) and then again every period. */
  async start(): Promise<void> {
    if (this.#options.files.length === 0) return;
    await this.reload();
    this.#loop = this.#reloadForEver();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopped'));
    await this.#loop;
  }

  async reload(): Promise<void> {
    const texts = await Promise.all(this.#options.files.map((file) => readFile(file, 'utf8')));
    const all = texts.join('\0');
    if (all === this.#lastText) return;
    const overrides = new Map<string, Limits>();
    texts.forEach((text, index) => {
      for (const [tenant, limits] of readOverrides(text, this.#options.files[index]!, this.#options.base)) {
        overrides.set(tenant, limits);
      }
    });
    this.#overrides = overrides;
    this.#lastText = all;
  }

  async #reloadForEver(): Promise<void> {
    const { clock, logger, periodMs } = this.#options;
    const { signal } = this.#stopping;
    for (;;) {
      try {
        await clock.sleep(periodMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      try {
        await this.reload();
        if (!this.#isHealthy) logger.info('runtime configuration can be read again');
        this.#isHealthy = true;
      } catch (error) {
        if (this.#isHealthy) logger.error('runtime configuration not reloaded, the old limits hold', { err: error });
        this.#isHealthy = false;
      }
    }
  }
}
