import { quoteGo } from '../../logql/units/go-quote.ts';
import { PushError } from './push-error.ts';

/**
 * The name under which a piece of structured metadata is kept: `[A-Za-z0-9_]`, other characters become underscores,
 * runs of them one, and a name that starts with a digit gets `key_` in front. A name that leaves nothing refuses the
 * whole push, with the status that Loki gives it.
 */
export function normaliseMetadataName(name: string): string {
  if (name === '') throw new PushError(500, 'label name is empty');
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !name.includes('__') && name !== '_') return name;
  let normalised = name.replace(/[^A-Za-z0-9_]/gu, '_').replace(/_+/g, '_');
  if (/^\d/.test(normalised)) normalised = `key_${normalised}`;
  if (normalised === '_') {
    throw new PushError(500, `normalization for label name ${quoteGo(name)} resulted in invalid name "_"`);
  }
  return normalised;
}
