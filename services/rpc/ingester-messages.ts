import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import type { Label, Labels } from '../../logql/labels.ts';
import type { RowCondition } from '../../logql/plan/index.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import type { RecentRequest } from './ingester.ts';

/** The messages of `proto/ingester.proto`, and what of them has a form of its own in the program. */

/** As protobufjs reads and writes 64 bits. */
export interface Int64 {
  readonly low: number;
  readonly high: number;
}

export interface RefusalMessage {
  readonly status: number;
  readonly message: string;
}
export interface PushRequestMessage {
  readonly batches?: readonly Uint8Array[];
}
export interface PushResultMessage {
  readonly refusal?: RefusalMessage | null;
  readonly failure?: { readonly code: number; readonly details: string } | null;
}
export interface PushResponseMessage {
  readonly results?: readonly PushResultMessage[];
}
export interface FlushResponseMessage {
  readonly refusal?: RefusalMessage | null;
}
interface MatcherMessage {
  readonly name: string;
  readonly op: number;
  readonly value: string;
}
interface ConditionMessage {
  /** Which of the fields counts; set by the decoder. */
  readonly kind?: 'text' | 'metadata' | 'all' | 'any';
  readonly text?: Uint8Array;
  readonly metadata?: { readonly name: string; readonly value: string };
  readonly all?: { readonly items: readonly ConditionMessage[] };
  readonly any?: { readonly items: readonly ConditionMessage[] };
}
export interface RecentRequestMessage {
  readonly tenant: string;
  readonly matchers: readonly MatcherMessage[];
  readonly startNs: Int64;
  readonly endNs: Int64;
  readonly condition?: ConditionMessage | null;
}
export interface LabelValuesRequestMessage {
  readonly name: string;
  readonly request: RecentRequestMessage | null;
}
export interface LabelsMessage {
  readonly texts: readonly string[];
}
export interface BlockMessage {
  readonly minNs: Int64;
  readonly maxNs: Int64;
  readonly rowCount: Int64 | number;
  readonly lineBytes: Int64 | number;
  readonly metadataBytes: Int64 | number;
  readonly encodedBytes: Int64 | number;
  readonly blockLength: number;
  readonly filterLength: number;
  readonly data?: Uint8Array;
}
export interface HeadMessage {
  readonly baseNs: Int64;
  readonly rowCount: number;
  readonly setCount: number;
  readonly setLength: number;
  readonly lineLength: number;
  readonly ascending: boolean;
  readonly metadataBytes: Int64 | number;
  readonly data?: Uint8Array;
}
export interface RecentItemMessage {
  /** Which of the fields counts; set by the decoder. */
  readonly item?: 'stream' | 'block' | 'head' | 'piece';
  readonly stream?: LabelsMessage;
  readonly block?: BlockMessage;
  readonly head?: HeadMessage;
  readonly piece?: Uint8Array;
}
export interface RecentResponseMessage {
  readonly items?: readonly RecentItemMessage[];
  readonly segments?: readonly string[];
}
export interface SeriesResponseMessage {
  readonly series?: readonly LabelsMessage[];
  readonly segments?: readonly string[];
}
export interface TextsResponseMessage {
  readonly texts?: readonly string[];
  readonly segments?: readonly string[];
}
export interface StatsResponseMessage {
  readonly streams: Int64 | number;
  readonly chunks: Int64 | number;
  readonly rows: Int64 | number;
  readonly bytes: Int64 | number;
  readonly segments?: readonly string[];
}
export interface TailRequestMessage {
  readonly tenant: string;
  readonly matchers: readonly MatcherMessage[];
}
export interface TailResponseMessage {
  readonly labels: LabelsMessage | null;
  readonly batch: Uint8Array;
}

export interface PatternsRequestMessage {
  readonly tenant: string;
  readonly matchers: readonly MatcherMessage[];
  readonly startMs: Int64;
  readonly endMs: Int64;
  readonly stepMs: Int64 | number;
}
export interface FoundPatternMessage {
  readonly stream: string;
  readonly pattern: string;
  readonly level: string;
  readonly offsetsMs?: readonly (Int64 | number)[];
  readonly lines?: readonly (Int64 | number)[];
}
export interface PatternsResponseMessage {
  readonly patterns?: readonly FoundPatternMessage[];
}

/** A message that is none, or says what cannot be. */
export class CorruptMessageError extends Error {
  readonly code = 'corrupt_message';
}

export interface MessageCodec<T> {
  encode(message: T): Buffer;
  /** Bytes in the message are views of `bytes`. Throws CorruptMessageError. */
  decode(bytes: Buffer): T;
}

const { root } = protobuf.parse(readFileSync(new URL('../../proto/ingester.proto', import.meta.url), 'utf8'));

function codec<T>(name: string): MessageCodec<T> {
  const type = root.lookupType(`loptr.${name}`);
  return {
    encode: (message) => type.encode(message as object).finish() as Buffer,
    decode: (bytes) => {
      try {
        return type.decode(bytes) as unknown as T;
      } catch (cause) {
        throw new CorruptMessageError(`no ${name}: ${cause instanceof Error ? cause.message : cause}`, { cause });
      }
    },
  };
}

export const messages = {
  pushRequest: codec<PushRequestMessage>('PushRequest'),
  pushResponse: codec<PushResponseMessage>('PushResponse'),
  recentRequest: codec<RecentRequestMessage>('RecentRequest'),
  recentResponse: codec<RecentResponseMessage>('RecentResponse'),
  seriesResponse: codec<SeriesResponseMessage>('SeriesResponse'),
  labelValuesRequest: codec<LabelValuesRequestMessage>('LabelValuesRequest'),
  textsResponse: codec<TextsResponseMessage>('TextsResponse'),
  statsResponse: codec<StatsResponseMessage>('StatsResponse'),
  tailRequest: codec<TailRequestMessage>('TailRequest'),
  tailResponse: codec<TailResponseMessage>('TailResponse'),
  patternsRequest: codec<PatternsRequestMessage>('PatternsRequest'),
  patternsResponse: codec<PatternsResponseMessage>('PatternsResponse'),
  flushRequest: codec<object>('FlushRequest'),
  flushResponse: codec<FlushResponseMessage>('FlushResponse'),
} as const;

export const toInt64 = (value: bigint): Int64 => ({
  low: Number(BigInt.asIntN(32, value)),
  high: Number(BigInt.asIntN(32, value >> 32n)),
});

export const fromInt64 = ({ low, high }: Int64): bigint => (BigInt(high) << 32n) | BigInt(low >>> 0);

/** A count or a size. Throws CorruptMessageError where a double would not be exact. */
export function toCount(value: Int64 | number): number {
  const count = typeof value === 'number' ? value : (value.high >>> 0) * 2 ** 32 + (value.low >>> 0);
  if (!Number.isSafeInteger(count)) throw new CorruptMessageError('a count beyond 2^53');
  return count;
}

const OPS = ['=', '!=', '=~', '!~'] as const satisfies readonly Matcher['op'][];

export const encodeMatchers = (matchers: readonly Matcher[]): MatcherMessage[] =>
  matchers.map(({ name, op, value }) => ({ name, op: OPS.indexOf(op), value }));

export const decodeMatchers = (matchers: readonly MatcherMessage[]): Matcher[] =>
  matchers.map(({ name, op, value }) => {
    const known = OPS[op];
    if (known === undefined) throw new CorruptMessageError(`a matcher of kind ${op}`);
    return { kind: 'matcher', name, op: known, value };
  });

export const encodeLabels = (labels: Labels): LabelsMessage => ({ texts: labels.flat() });

export function decodeLabels(message: LabelsMessage | null | undefined): Labels {
  const texts = message?.texts ?? [];
  if (texts.length % 2 !== 0) throw new CorruptMessageError('a label without a value');
  const labels: Label[] = [];
  for (let i = 0; i < texts.length; i += 2) labels.push([texts[i]!, texts[i + 1]!]);
  return labels;
}

/** Messages may nest no deeper than protobufjs reads; what is larger costs more than it saves. */
const MAX_CONDITION_DEPTH = 20;
const MAX_CONDITIONS = 500;

export function encodeRecentRequest({
  tenant,
  matchers,
  startNs,
  endNs,
  condition = null,
}: RecentRequest): RecentRequestMessage {
  const isSent =
    condition !== null && depthOf(condition) <= MAX_CONDITION_DEPTH && countOf(condition) <= MAX_CONDITIONS;
  return {
    tenant,
    matchers: encodeMatchers(matchers),
    startNs: toInt64(startNs),
    endNs: toInt64(endNs),
    ...(isSent && { condition: encodeCondition(condition) }),
  };
}

export function decodeRecentRequest(message: RecentRequestMessage): RecentRequest {
  const { tenant, matchers, startNs, endNs, condition } = message;
  return {
    tenant,
    matchers: decodeMatchers(matchers),
    startNs: fromInt64(startNs),
    endNs: fromInt64(endNs),
    condition: condition ? decodeCondition(condition) : null,
  };
}

const itemsOf = (condition: RowCondition): readonly RowCondition[] => ('items' in condition ? condition.items : []);
const depthOf = (condition: RowCondition): number =>
  1 + itemsOf(condition).reduce((deepest, item) => Math.max(deepest, depthOf(item)), 0);
const countOf = (condition: RowCondition): number => itemsOf(condition).reduce((sum, item) => sum + countOf(item), 1);

function encodeCondition(condition: RowCondition): ConditionMessage {
  switch (condition.kind) {
    case 'text':
      return { text: Buffer.from(condition.bytes, 'latin1') };
    case 'metadata':
      return { metadata: { name: condition.name, value: condition.value } };
    case 'all':
      return { all: { items: condition.items.map(encodeCondition) } };
    case 'any':
      return { any: { items: condition.items.map(encodeCondition) } };
    default:
      return condition satisfies never;
  }
}

function decodeCondition(message: ConditionMessage): RowCondition {
  switch (message.kind) {
    case 'text':
      return { kind: 'text', bytes: Buffer.from(message.text!).toString('latin1') };
    case 'metadata':
      return { kind: 'metadata', name: message.metadata!.name, value: message.metadata!.value };
    case 'all':
    case 'any':
      return { kind: message.kind, items: message[message.kind]!.items.map(decodeCondition) };
    case undefined:
      throw new CorruptMessageError('a condition of no kind');
    default:
      return message.kind satisfies never;
  }
}
