import { compileRegex } from '../regex/index.ts';
import { encodeUtf8, parsePatternParts } from '../stages/index.ts';
import type { LabelFilter, LineFilter, LineFilterOp, LineFilterOperand, Stage } from '../syntax/ast.ts';

/**
 * What every row that gets through a query's stages satisfies as it is stored. A store may leave out rows, and whole
 * blocks, that cannot. Plain data.
 */
export type RowCondition =
  /** The line contains the bytes (a byte string); its ASCII letters may be in the other case. */
  | { readonly kind: 'text'; readonly bytes: string }
  /** Holds unless the stream has a label of this name: the row has this structured metadata. */
  | { readonly kind: 'metadata'; readonly name: string; readonly value: string }
  | { readonly kind: 'all'; readonly items: readonly RowCondition[] }
  | { readonly kind: 'any'; readonly items: readonly RowCondition[] };

/** Null when nothing is known. The stages must be valid. */
export function conditionOf(stages: readonly Stage[]): RowCondition | null {
  const items: (RowCondition | null)[] = [];
  let seesStoredLine = true;
  let seesStoredLabels = true;
  for (const stage of stages) {
    switch (stage.kind) {
      case 'line_filter':
        if (seesStoredLine) items.push(ofLineFilter(stage));
        break;
      case 'label_filter':
        if (seesStoredLabels) items.push(ofLabelFilter(stage.filter));
        break;
      case 'line_format':
        seesStoredLine = false;
        break;
      case 'unpack':
        seesStoredLine = false;
        seesStoredLabels = false;
        break;
      case 'json':
      case 'logfmt':
      case 'regexp':
      case 'pattern':
      case 'label_format':
        seesStoredLabels = false;
        break;
      case 'drop':
      case 'keep':
      case 'decolorize': // line filters behind it see the stored line, as in Loki
        break;
      default:
        stage satisfies never;
    }
  }
  return all(items);
}

function ofLineFilter({ op, operands }: LineFilter): RowCondition | null {
  if (op !== '|=' && op !== '|~' && op !== '|>') return null;
  return any(operands.map((operand) => ofOperand(op, operand, operands.length > 1)));
}

/** `isChain`: an `ip()` in `a or b` counts as plain text. */
function ofOperand(op: LineFilterOp, { fn, value }: LineFilterOperand, isChain: boolean): RowCondition | null {
  if (fn !== null && !isChain) return null;
  if (op === '|=') return ofText(encodeUtf8(value));
  if (op === '|>') {
    return all(parsePatternParts(value).map((part) => (part.kind === 'literal' ? ofText(part.bytes) : null)));
  }
  const { traits } = compileRegex(value);
  if (traits.matchesEverything) return null;
  if (traits.literal !== null) return ofText(encodeUtf8(traits.literal));
  // Loki compares simple patterns by characters in lower case, which knows other neighbours of i and k than RE2.
  const forms = traits.simpleForms;
  if (forms?.some((form) => form.foldsCase)) {
    return any(forms.map(({ text }) => all(text.split(/[^\x00-\x7f]|[ik]/).map((part) => ofText(part)))));
  }
  return traits.requiredText;
}

function ofText(bytes: string): RowCondition | null {
  return bytes === '' ? null : { kind: 'text', bytes };
}

function ofLabelFilter(filter: LabelFilter): RowCondition | null {
  switch (filter.kind) {
    case 'and':
      return all([ofLabelFilter(filter.left), ofLabelFilter(filter.right)]);
    case 'or':
      return any([ofLabelFilter(filter.left), ofLabelFilter(filter.right)]);
    case 'matcher': {
      const { name, op, value } = filter;
      // An absent label equals ''. Names with two underscores are not stored; a `_extracted` one is stored without.
      const isStored = !name.startsWith('__') && !name.endsWith('_extracted');
      // Metadata that is not UTF-8 reads as U+FFFD.
      if (op !== '=' || value === '' || !isStored || value.includes('\ufffd') || name.includes('\ufffd')) return null;
      return { kind: 'metadata', name, value };
    }
    case 'number_filter':
    case 'duration_filter':
    case 'bytes_filter':
    case 'ip_filter':
      return null;
    default:
      return filter satisfies never;
  }
}

function all(items: readonly (RowCondition | null)[]): RowCondition | null {
  const known = items.filter((item) => item !== null);
  return known.length > 1 ? { kind: 'all', items: known } : (known[0] ?? null);
}

function any(items: readonly (RowCondition | null)[]): RowCondition | null {
  const known = items.filter((item) => item !== null);
  if (known.length === 0 || known.length < items.length) return null;
  return known.length === 1 ? known[0]! : { kind: 'any', items: known };
}
