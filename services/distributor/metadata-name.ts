import { quoteGo } from '../../logql/units/go-quote.ts';
import { PushError } from './push-error.ts';

/**
 * The name under which a piece of structured metadata is kept: `[A-Za-z0-9_]`, other characters become underscores,
 * runs of them one, and a name that starts with a digit gets `key_` in front; two underscores on both ends stay. A name
 * that leaves nothing refuses the whole push, with the status that Loki gives it.
 */
export function normaliseMetadataName(name: string): string {
  if (name === '') throw new PushError(500, 'label name is empty');
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !name.includes('__') && name !== '_') return name;
  const isReserved = name.length >= 4 && name.startsWith('__') && name.endsWith('__');
  let normalised = (isReserved ? name.slice(2, -2) : name).replace(/[^A-Za-z0-9]+/gu, '_');
  if (isReserved) normalised = `__${normalised}__`;
  if (/^\d/.test(normalised)) normalised = `key_${normalised}`;
  if (/^_*$/.test(normalised)) {
    throw new PushError(
      500,
      `normalization for label name ${quoteGo(name)} resulted in invalid name ${quoteGo(normalised)}`,
    );
  }
  return normalised;
}
