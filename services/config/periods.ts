import { FieldError } from './field.ts';

/** One entry of `schema_config.configs`, as far as it matters here. */
export interface PeriodConfig {
  /** `YYYY-MM-DD`. */
  readonly from: string;
  readonly store: string;
  readonly object_store: string;
  readonly schema: string;
  readonly index?: Readonly<Record<string, unknown>>;
  readonly chunks?: Readonly<Record<string, unknown>>;
  readonly row_shards?: number;
}

const KEYS = new Set(['from', 'store', 'object_store', 'schema', 'index', 'chunks', 'row_shards']);
/** Object stores that data can go to. */
const STORES = new Set(['filesystem', 's3', 'aws']);

/** Checks the periods as Loki does, as far as they decide anything here. Throws FieldError. */
export function readPeriods(value: unknown): readonly PeriodConfig[] {
  if (!Array.isArray(value)) throw new FieldError('expected a list of periods');
  let last = '';
  return value.map((entry: unknown, index) => {
    if (entry === null || typeof entry !== 'object' || Array.isArray(entry)) {
      throw new FieldError(`period ${index + 1}: expected a mapping with from, store, object_store and schema`);
    }
    const period = entry as Record<string, unknown>;
    for (const key of Object.keys(period)) {
      if (!KEYS.has(key)) throw new FieldError(`period ${index + 1}: unknown key ${key}`);
    }
    const from = dayOf(period['from']);
    if (from === undefined) throw new FieldError(`period ${index + 1}: expected from as YYYY-MM-DD`);
    if (from <= last) throw new FieldError(`period ${index + 1}: expected periods in ascending order of from`);
    last = from;
    const objectStore = String(period['object_store'] ?? '');
    if (index === value.length - 1 && !STORES.has(objectStore)) {
      throw new FieldError(
        `period ${index + 1}: object_store is ${JSON.stringify(objectStore)}; expected filesystem, s3 or aws`,
      );
    }
    return {
      ...period,
      from,
      store: String(period['store'] ?? ''),
      object_store: objectStore,
      schema: String(period['schema'] ?? ''),
    };
  });
}

function dayOf(value: unknown): string | undefined {
  if (value instanceof Date) return value.toISOString().slice(0, 10);
  return typeof value === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(Date.parse(value))
    ? value
    : undefined;
}
