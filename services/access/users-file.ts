import { createHash } from 'node:crypto';
import { isMap, LineCounter, parseDocument } from 'yaml';
import type { Caller } from '../http/index.ts';
import { type PasswordHash, parsePasswordHash } from './password-hash.ts';

export type Permission = 'read' | 'write' | 'admin';

/** Who a user or a token stands for. */
export interface Account extends Caller {
  readonly permissions: ReadonlySet<Permission>;
}

export interface User extends Account {
  /** Of the file, or SHA-256 of a password that stands there as it is. */
  readonly secret: PasswordHash | Buffer;
}

export interface Users {
  readonly byName: ReadonlyMap<string, User>;
  /** By the SHA-256 of the token, in hexadecimal digits. */
  readonly byToken: ReadonlyMap<string, Account>;
}

/** Everything that is wrong with a file of users. Never shows what the file holds: it may be a secret. */
export class UsersFileError extends Error {
  readonly code = 'bad_users_file';
}

const PERMISSIONS: ReadonlySet<unknown> = new Set<Permission>(['read', 'write', 'admin']);

/** Reads `users` and `tokens`. Throws UsersFileError. */
export function readUsers(source: string, fileName: string): Users {
  const lines = new LineCounter();
  const document = parseDocument(source, { prettyErrors: false, lineCounter: lines });
  const problems = document.errors.map(({ code, pos }) => `${fileName}:${lines.linePos(pos[0]).line}: ${code}`);
  if (document.errors.length === 0 && !isMap(document.contents)) {
    problems.push(`${fileName}: expected a mapping with users and tokens`);
  }
  if (problems.length > 0) throw new UsersFileError(problems.join('\n'));

  const byName = new Map<string, User>();
  const byToken = new Map<string, Account>();
  const root = document.toJS() as Record<string, unknown>;
  for (const key of Object.keys(root)) {
    if (key !== 'users' && key !== 'tokens') problems.push(`${fileName}: unknown key ${key}, expected users or tokens`);
  }
  const each = (list: 'users' | 'tokens', keys: readonly string[], read: (entry: Entry) => void): void => {
    const entries = root[list] ?? [];
    if (!Array.isArray(entries)) problems.push(`${fileName}: ${list}: expected a list`);
    else {
      entries.forEach((values: unknown, index) => {
        read(new Entry(values, `${fileName}: ${list}[${index}]`, [...keys, 'tenants', 'permissions'], problems));
      });
    }
  };
  each('users', ['name', 'password', 'password_hash'], (entry) => {
    const name = entry.text('name') ?? '';
    if (name === '' || name.includes(':')) entry.refuse('name', 'a text without :');
    else if (byName.has(name)) entry.refuse('name', 'a name that no other user has');
    byName.set(name, { ...entry.account(), secret: entry.password() });
  });
  each('tokens', ['name', 'token', 'token_hash'], (entry) => {
    entry.text('name');
    const digest = entry.tokenDigest();
    if (byToken.has(digest)) entry.refuse('token', 'a token that stands here once');
    byToken.set(digest, entry.account());
  });
  if (problems.length > 0) throw new UsersFileError(problems.join('\n'));
  return { byName, byToken };
}

/** One user or token; what is wrong with it is added to the problems. */
class Entry {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #where: string;
  readonly #problems: string[];

  constructor(values: unknown, where: string, keys: readonly string[], problems: string[]) {
    const isMapping = typeof values === 'object' && values !== null && !Array.isArray(values);
    this.#values = isMapping ? (values as Record<string, unknown>) : {};
    this.#where = where;
    this.#problems = problems;
    if (!isMapping) problems.push(`${where}: expected a mapping`);
    for (const key of Object.keys(this.#values)) {
      if (!keys.includes(key)) problems.push(`${where}: unknown key, expected ${keys.join(', ')}`);
    }
  }

  refuse(key: string, expected: string): void {
    this.#problems.push(`${this.#where}.${key}: expected ${expected}`);
  }

  /** Undefined when the key is absent. */
  text(key: string): string | undefined {
    const value = this.#values[key];
    if (value === undefined || (typeof value === 'string' && value !== '')) return value;
    this.refuse(key, 'a text (in quotes where YAML would see something else)');
    return undefined;
  }

  password(): PasswordHash | Buffer {
    const [plain, hashed] = [this.text('password'), this.text('password_hash')];
    if ((plain === undefined) === (hashed === undefined)) this.refuse('password_hash', 'this, or password');
    if (plain !== undefined) return sha256(plain);
    const hash = parsePasswordHash(hashed ?? '');
    if (hashed !== undefined && hash === undefined) this.refuse('password_hash', 'what loptr -hash-password writes');
    return hash ?? Buffer.alloc(0);
  }

  tokenDigest(): string {
    const [plain, hashed] = [this.text('token'), this.text('token_hash')];
    if ((plain === undefined) === (hashed === undefined)) this.refuse('token_hash', 'this, or token');
    if (plain !== undefined) return sha256(plain).toString('hex');
    if (hashed !== undefined && !/^[0-9a-f]{64}$/i.test(hashed)) {
      this.refuse('token_hash', 'the SHA-256 of the token in 64 hexadecimal digits');
    }
    return (hashed ?? '').toLowerCase();
  }

  account(): Account {
    const { tenants, permissions } = this.#values;
    const isAll = tenants === '*';
    const names = Array.isArray(tenants) && tenants.every((name) => typeof name === 'string' && name !== '');
    if (!isAll && !(names && tenants.length > 0)) this.refuse('tenants', "'*' or a list of texts");
    const isKnown = Array.isArray(permissions) && permissions.every((name) => PERMISSIONS.has(name));
    if (!isKnown || permissions.length === 0) this.refuse('permissions', 'a list of read, write, admin');
    const allowed = new Set<string>(names ? tenants : []);
    return {
      permissions: new Set(isKnown ? (permissions as Permission[]) : []),
      onlyTenant: allowed.size === 1 ? [...allowed][0]! : '',
      mayUse: (tenant) => isAll || allowed.has(tenant),
    };
  }
}

export const sha256 = (text: string): Buffer => createHash('sha256').update(text, 'utf8').digest();
