import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { type AccessTarget, type Caller, type Gatekeeper, HttpError } from '../http/index.ts';
import { isPasswordOf, parsePasswordHash } from './password-hash.ts';
import { permissionFor } from './permission.ts';
import { type Account, sha256, type Users } from './users-file.ts';

const CACHE_ENTRIES = 4096;
const KNOWN_FOR_MS = 10 * 60_000;
const REFUSED_FOR_MS = 60_000;
/** scrypt runs in the threads that also read files: some must be left, whoever tries passwords. */
const CHECKS_AT_ONCE = 2;
const MAX_WAITING_CHECKS = 64;

/** Checked for names that nobody has, so that the time of an answer does not tell them apart. Nobody knows its password. */
const NOBODY = parsePasswordHash(
  `$scrypt$ln=15,r=8,p=1$${randomBytes(15).toString('base64')}$${randomBytes(33).toString('base64')}`,
)!;

/**
 * Names the caller of a request by its `Authorization` (Basic or Bearer) and refuses what he may not do.
 *
 * A checked header is remembered, so that only the first of many pushes pays for scrypt; what is remembered is an HMAC
 * under a key of this process, never the header.
 */
export class AccessControl implements Gatekeeper {
  readonly #openMetrics: boolean;
  readonly #key = randomBytes(32);
  readonly #known = new LRUCache<string, Account>({ max: CACHE_ENTRIES, ttl: KNOWN_FOR_MS, updateAgeOnGet: true });
  readonly #refused = new LRUCache<string, true>({ max: CACHE_ENTRIES, ttl: REFUSED_FOR_MS });
  readonly #underWay = new Map<string, Promise<Account | undefined>>();
  readonly #waiting: (() => void)[] = [];
  #checks = 0;
  #users: Users;

  constructor(users: Users, openMetrics: boolean) {
    this.#users = users;
    this.#openMetrics = openMetrics;
  }

  /** From now on these; nothing of the ones before is remembered. */
  replaceUsers(users: Users): void {
    this.#users = users;
    this.#known.clear();
    this.#refused.clear();
    this.#underWay.clear();
  }

  async admit(authorization: string, target: AccessTarget): Promise<Caller | undefined> {
    const needed = permissionFor(target, this.#openMetrics);
    if (needed === undefined) return undefined;
    const account = await this.#accountOf(authorization);
    if (account === undefined) {
      throw new HttpError(401, 'missing or wrong credentials', {
        headers: { 'WWW-Authenticate': 'Basic realm="loptr"' },
      });
    }
    if (!account.permissions.has(needed)) throw new HttpError(403, `permission ${needed} is needed`);
    return account;
  }

  async #accountOf(authorization: string): Promise<Account | undefined> {
    if (authorization === '') return undefined;
    const digest = createHmac('sha256', this.#key).update(authorization).digest('base64');
    const known = this.#known.get(digest);
    if (known !== undefined) return known;
    if (this.#refused.has(digest)) return undefined;
    let check = this.#underWay.get(digest);
    if (check === undefined) {
      check = this.#check(authorization, digest);
      this.#underWay.set(digest, check);
    }
    return check;
  }

  async #check(authorization: string, digest: string): Promise<Account | undefined> {
    const users = this.#users;
    try {
      const account = await this.#identify(authorization, users);
      // An answer about users of before is still one about this request, and not about the next.
      if (users === this.#users) {
        if (account === undefined) this.#refused.set(digest, true);
        else this.#known.set(digest, account);
      }
      return account;
    } finally {
      if (users === this.#users) this.#underWay.delete(digest);
    }
  }

  async #identify(authorization: string, users: Users): Promise<Account | undefined> {
    const [, scheme, credentials] = /^(basic|bearer) +(\S+) *$/i.exec(authorization) ?? [];
    // A look-up by digest tells nothing by its time: nobody can aim at one.
    if (scheme?.toLowerCase() === 'bearer') return users.byToken.get(sha256(credentials!).toString('hex'));
    if (scheme === undefined) return undefined;
    const text = Buffer.from(credentials!, 'base64').toString('utf8');
    const colon = text.indexOf(':');
    if (colon < 0) return undefined;
    const user = users.byName.get(text.slice(0, colon));
    const password = text.slice(colon + 1);
    const secret = user?.secret ?? NOBODY;
    if (Buffer.isBuffer(secret)) return timingSafeEqual(sha256(password), secret) ? user : undefined;
    return (await this.#inTurn(() => isPasswordOf(secret, password))) ? user : undefined;
  }

  async #inTurn(check: () => Promise<boolean>): Promise<boolean> {
    if (this.#checks >= CHECKS_AT_ONCE) {
      if (this.#waiting.length >= MAX_WAITING_CHECKS) {
        throw new HttpError(503, 'too many passwords are being checked, try again');
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve)); // whoever ends hands its turn over
    } else this.#checks++;
    try {
      return await check();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#checks--;
      else next();
    }
  }
}
