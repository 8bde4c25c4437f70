import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import type { Tenants } from '../http/types.ts';
import type { Bounds } from '../querier/params.ts';
import type { FingerprintRequest, LogPart, MetricPart, WholeRange } from '../querier/parts.ts';

/*
 * Requests and answers of `proto/frontend.proto` as values of ours.
 */

/** A request of the HTTP API that one querier answers from start to end. */
export interface WholeRequest {
  readonly method: string;
  readonly url: string;
  readonly route: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly form: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type Work =
  | { readonly kind: 'whole'; readonly whole: WholeRequest }
  | { readonly kind: 'log'; readonly part: LogPart }
  | { readonly kind: 'metric'; readonly part: MetricPart }
  | { readonly kind: 'bytes'; readonly whole: WholeRange; readonly limitsContext: string }
  | { readonly kind: 'fingerprints'; readonly of: FingerprintRequest };

export interface WorkRequest {
  readonly number: number;
  readonly tenants: Tenants;
  readonly timeoutMs: number;
  readonly queuedMs: number;
  readonly work: Work;
}

export type ToQuerier =
  | { readonly kind: 'request'; readonly request: WorkRequest }
  | { readonly kind: 'cancel'; readonly number: number };

export interface AnswerHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Failure extends AnswerHead {
  readonly message: string;
  readonly code: string;
  readonly retryable: boolean;
}

export type FromQuerier = { readonly number: number } & (
  | { readonly kind: 'hello'; readonly querier: string }
  | { readonly kind: 'head'; readonly head: AnswerHead }
  | { readonly kind: 'piece'; readonly piece: Uint8Array }
  | { readonly kind: 'done' }
  | { readonly kind: 'failure'; readonly failure: Failure }
  | { readonly kind: 'leaving' }
);

/** What came is no message of ours: another program, or another version of this one. */
export class ForeignMessageError extends Error {
  readonly code = 'foreign_message';
}

/** Plain objects as protobufjs has them: names in camel case, 64-bit numbers as texts. */
// biome-ignore lint/suspicious/noExplicitAny: the shape is that of the .proto file
type Plain = any;

interface MessageType {
  encode(value: Plain): Buffer;
  /** Throws ForeignMessageError. */
  decode(bytes: Uint8Array): Plain;
}

let schema: protobuf.Root | undefined;
const types = new Map<string, MessageType>();

/** Encodes and decodes one type of `proto/frontend.proto`. */
export function messageType(name: string): MessageType {
  let type = types.get(name);
  if (type === undefined) types.set(name, (type = newType(name)));
  return type;
}

function newType(name: string): MessageType {
  schema ??= protobuf.parse(readFileSync(new URL('../../proto/frontend.proto', import.meta.url), 'utf8')).root;
  const type = schema.lookupType(`loptr.frontend.${name}`);
  return {
    encode(value) {
      const bytes = type.encode(type.fromObject(value)).finish();
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    decode(bytes) {
      try {
        return type.toObject(type.decode(bytes), { longs: String, defaults: true, arrays: true, objects: true });
      } catch (cause: unknown) {
        throw new ForeignMessageError(`not a message ${name}`, { cause });
      }
    },
  };
}

export function encodeToQuerier(message: ToQuerier): Buffer {
  const type = messageType('ToQuerier');
  if (message.kind === 'cancel') return type.encode({ cancel: message.number });
  const { tenants, work, ...rest } = message.request;
  return type.encode({ request: { ...rest, tenants: tenants.ids, federated: tenants.federated, ...plainWork(work) } });
}

/** Throws ForeignMessageError. */
export function decodeToQuerier(bytes: Uint8Array): ToQuerier {
  const plain = messageType('ToQuerier').decode(bytes);
  if (plain.request == null) return { kind: 'cancel', number: plain.cancel };
  const { number, tenants, federated, timeoutMs, queuedMs } = plain.request;
  const work = readWork(plain.request);
  return { kind: 'request', request: { number, tenants: { ids: tenants, federated }, timeoutMs, queuedMs, work } };
}

function plainWork(work: Work): Plain {
  switch (work.kind) {
    case 'whole':
      return { whole: work.whole };
    case 'log': {
      const { part } = work;
      return { log: { ...texts(part), forward: part.direction === 'forward' } };
    }
    case 'metric':
      return { metric: texts(work.part) };
    case 'bytes':
      return { bytes: { ...texts(work.whole), limitsContext: work.limitsContext } };
    case 'fingerprints': {
      const { ranges, ...rest } = work.of;
      const pairs = BigInt64Array.from(ranges.flatMap(({ startNs, endNs }) => [startNs, endNs]));
      return { fingerprints: { ...texts(rest), rangesNs: bytesOf(pairs) } };
    }
    default:
      return work satisfies never;
  }
}

function readWork(plain: Plain): Work {
  if (plain.whole != null) return { kind: 'whole', whole: plain.whole };
  if (plain.log != null) {
    const { query, limit, forward, wantsFingerprint } = plain.log;
    const times = {
      ...boundsOf(plain.log),
      intervalNs: BigInt(plain.log.intervalNs),
      periodNs: BigInt(plain.log.periodNs),
    };
    const direction = forward ? 'forward' : 'backward';
    return { kind: 'log', part: { query, limit, direction, wantsFingerprint, ...times } };
  }
  if (plain.metric != null) {
    const { query, maxSeries, wantsFingerprint, stepNs, splitNs } = plain.metric;
    const times = { ...boundsOf(plain.metric), stepNs: BigInt(stepNs), splitNs: BigInt(splitNs) };
    return { kind: 'metric', part: { query, maxSeries, wantsFingerprint, ...times } };
  }
  if (plain.bytes != null) {
    const { query, stepNs, limitsContext } = plain.bytes;
    return { kind: 'bytes', whole: { query, stepNs: BigInt(stepNs), ...boundsOf(plain.bytes) }, limitsContext };
  }
  if (plain.fingerprints != null) {
    const { query, stepNs, rangesNs } = plain.fingerprints;
    const pairs = new BigInt64Array(copyOf(rangesNs));
    const ranges: Bounds[] = [];
    for (let i = 0; i + 1 < pairs.length; i += 2) ranges.push({ startNs: pairs[i]!, endNs: pairs[i + 1]! });
    return { kind: 'fingerprints', of: { query, stepNs: BigInt(stepNs), ranges } };
  }
  throw new ForeignMessageError('a request asks for nothing that is known here');
}

export function encodeFromQuerier(message: FromQuerier): Buffer {
  const type = messageType('FromQuerier');
  const { number } = message;
  switch (message.kind) {
    case 'hello':
      return type.encode({ number, hello: { querier: message.querier } });
    case 'head':
      return type.encode({ number, head: message.head });
    case 'piece':
      return type.encode({ number, piece: message.piece });
    case 'done':
      return type.encode({ number, done: {} });
    case 'failure':
      return type.encode({ number, failure: message.failure });
    case 'leaving':
      return type.encode({ number, leaving: {} });
    default:
      return message satisfies never;
  }
}

/** Throws ForeignMessageError. */
export function decodeFromQuerier(bytes: Uint8Array): FromQuerier {
  const plain = messageType('FromQuerier').decode(bytes);
  const { number } = plain;
  if (plain.hello != null) return { number, kind: 'hello', querier: plain.hello.querier };
  if (plain.head != null) return { number, kind: 'head', head: plain.head };
  if (plain.failure != null) return { number, kind: 'failure', failure: plain.failure };
  if (plain.done != null) return { number, kind: 'done' };
  if (plain.leaving != null) return { number, kind: 'leaving' };
  if (plain.piece != null) return { number, kind: 'piece', piece: plain.piece };
  throw new ForeignMessageError('a querier says what is not known here');
}

/** `bigint`s as texts, which protobufjs takes for 64-bit numbers. */
function texts(values: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, typeof value === 'bigint' ? String(value) : value]),
  );
}

const boundsOf = ({ startNs, endNs }: Plain): Bounds => ({ startNs: BigInt(startNs), endNs: BigInt(endNs) });

/** The bytes of a column. */
export function bytesOf(column: ArrayBufferView): Uint8Array {
  return new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
}

/** A buffer of its own, aligned for any column. */
export function copyOf(bytes: Uint8Array): ArrayBuffer {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy.buffer;
}
