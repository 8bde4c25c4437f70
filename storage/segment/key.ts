/**
 * The key of a segment says what a reader must know before it opens it, so that a listing is an index of segments:
 *
 *     segments/<tenant>/<day>/<min>-<max>-<id>-<size>-<footer>.seg
 *
 *     day     UTC day of the oldest row, yyyy-mm-dd
 *     min max oldest and newest row: ns since 1970 plus 2^63, 16 hexadecimal digits, so that text sorts as time
 *     id      12 hexadecimal digits of milliseconds since 1970 and 16 random ones: later segments have greater ids
 *     size    bytes of the object, footer: bytes of its stored footer; both base 36
 *
 * A tenant of letters, digits, `_`, `-` and `.` stands as it is, any other as `=` and the base64url of its UTF-8.
 */
import { randomBytes } from 'node:crypto';

const ROOT = 'segments/';
const NS_OFFSET = 2n ** 63n;
const PLAIN_TENANT = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*$/;
/** 600 bytes of UTF-8 become 800 characters, which leaves room for the rest in S3's 1024. */
const MAX_TENANT_BYTES = 600;
const KEY =
  /^segments\/([^/]+)\/(\d{4,6}-\d{2}-\d{2})\/([0-9a-f]{16})-([0-9a-f]{16})-([0-9a-f]{28})-([0-9a-z]{1,10})-([0-9a-z]{1,10})\.seg$/;

export interface SegmentKeyParts {
  readonly tenant: string;
  readonly minNs: bigint;
  /** Inclusive. */
  readonly maxNs: bigint;
  readonly id: string;
  readonly sizeBytes: number;
  /** Size of the compressed footer. */
  readonly footerBytes: number;
}

/** Where every segment's key starts, or that of one tenant. */
export function segmentPrefix(tenant?: string): string {
  return tenant === undefined ? ROOT : `${ROOT}${encodeTenant(tenant)}/`;
}

export function newSegmentId(nowMs: number): string {
  return nowMs.toString(16).padStart(12, '0') + randomBytes(8).toString('hex');
}

export function segmentKey(parts: SegmentKeyParts): string {
  const { tenant, minNs, maxNs, id, sizeBytes, footerBytes } = parts;
  const time = (ns: bigint): string => (ns + NS_OFFSET).toString(16).padStart(16, '0');
  const numbers = `${sizeBytes.toString(36)}-${footerBytes.toString(36)}`;
  return `${segmentPrefix(tenant)}${dayOf(minNs)}/${time(minNs)}-${time(maxNs)}-${id}-${numbers}.seg`;
}

/** Null for what is not a segment's key. */
export function parseSegmentKey(key: string): SegmentKeyParts | null {
  const match = KEY.exec(key);
  if (match === null) return null;
  const [, tenantText, , min, max, id, size, footer] = match;
  const tenant = decodeTenant(tenantText!);
  if (tenant === null) return null;
  const time = (hex: string): bigint => BigInt(`0x${hex}`) - NS_OFFSET;
  const parts = {
    tenant,
    minNs: time(min!),
    maxNs: time(max!),
    id: id!,
    sizeBytes: Number.parseInt(size!, 36),
    footerBytes: Number.parseInt(footer!, 36),
  };
  return segmentKey(parts) === key ? parts : null;
}

function dayOf(ns: bigint): string {
  const date = new Date(Number(ns / 1_000_000n)); // any int64 of ns lies within Date's range
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${String(date.getUTCFullYear()).padStart(4, '0')}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
}

/** A tenant as one part of a key. */
export function encodeTenant(tenant: string): string {
  if (PLAIN_TENANT.test(tenant)) return checkLength(tenant, tenant.length);
  if (tenant === '' || !tenant.isWellFormed()) throw new RangeError('a tenant must be non-empty, well-formed text');
  const bytes = Buffer.from(tenant, 'utf8');
  return checkLength(`=${bytes.toString('base64url')}`, bytes.length);
}

function checkLength(encoded: string, bytes: number): string {
  if (bytes > MAX_TENANT_BYTES) throw new RangeError(`a tenant of ${bytes} bytes; at most ${MAX_TENANT_BYTES}`);
  return encoded;
}

/** Null for what `encodeTenant` did not make. */
export function decodeTenant(text: string): string | null {
  if (!text.startsWith('=')) return PLAIN_TENANT.test(text) ? text : null;
  const tenant = Buffer.from(text.slice(1), 'base64url').toString('utf8');
  return tenant === '' || PLAIN_TENANT.test(tenant) ? null : tenant;
}
