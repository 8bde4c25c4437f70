/** What stands in etcd for one member. Values come from outside: they are checked before anything believes them. */
import type { MemberState } from './membership.ts';

export interface MemberRecord {
  readonly address: string;
  readonly zone: string;
  readonly state: MemberState;
  /** ms since 1970. */
  readonly registeredAtMs: number;
}

const STATES: ReadonlySet<string> = new Set<MemberState>(['PENDING', 'JOINING', 'ACTIVE', 'LEAVING']);
/** Host names, pods, IPv6 addresses; not the names that objects already have. */
const ID = /^[A-Za-z0-9[][\w.:@/[\]-]{0,252}$/;
/** Room for a host name, its port, and a scheme. */
const MAX_TEXT = 512;
/** What a record may take: far more than ours do, and little to parse. */
const MAX_BYTES = 8192;

/** Throws TypeError with what is wrong. */
export function checkMemberId(id: string): void {
  if (!ID.test(id)) throw new TypeError(`not a name for a member: ${JSON.stringify(id.slice(0, 100))}`);
}

/** Throws TypeError for what no reader would take. */
export function encodeMemberRecord({ address, zone, state, registeredAtMs }: MemberRecord): string {
  const text = JSON.stringify({ address, zone, state, registeredAtMs });
  decodeMemberRecord(Buffer.from(text));
  return text;
}

/** Throws TypeError with what is wrong. Fields that it does not know are left out: a newer version may write some. */
export function decodeMemberRecord(bytes: Buffer): MemberRecord {
  if (bytes.length > MAX_BYTES) throw new TypeError(`${bytes.length} bytes are too many`);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause: unknown) {
    throw new TypeError('not JSON', { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('not an object');
  const { address, zone, state, registeredAtMs } = value as Record<string, unknown>;
  if (!isText(address) || address === '') throw new TypeError('address: expected a text');
  if (!isText(zone)) throw new TypeError('zone: expected a text');
  if (typeof state !== 'string' || !STATES.has(state)) throw new TypeError('state: expected a state of a member');
  if (!Number.isSafeInteger(registeredAtMs) || (registeredAtMs as number) < 0) {
    throw new TypeError('registeredAtMs: expected ms since 1970');
  }
  return { address, zone, state: state as MemberState, registeredAtMs: registeredAtMs as number };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT && !/[\x00-\x1f\x7f]/.test(value);
}
