import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

/** A password as it is kept: `$scrypt$ln=15,r=8,p=1$salt$key`, both in base64 without padding, as PHC strings are. */
export interface PasswordHash {
  /** Base 2 logarithm of scrypt's N. */
  readonly costLog2: number;
  readonly blockSize: number;
  readonly parallelization: number;
  readonly salt: Buffer;
  readonly key: Buffer;
}

const COST_LOG2 = 15;
const BLOCK_SIZE = 8;
const SALT_BYTES = 16;
const KEY_BYTES = 32;
/** Bounds what one login may take, whatever a file says. */
const MAX_MEMORY_BYTES = 256 * 1024 * 1024;
const FORM =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})={0,2}\$([A-Za-z0-9+/]{22,86})={0,2}$/;

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = { costLog2: COST_LOG2, blockSize: BLOCK_SIZE, parallelization: 1, salt };
  const key = await deriveKey(password, hash, KEY_BYTES);
  return `$scrypt$ln=${COST_LOG2},r=${BLOCK_SIZE},p=1$${unpadded(salt)}$${unpadded(key)}`;
}

/** Undefined when `text` is no hash, or one that would take too much memory or time. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const [costLog2, blockSize, parallelization] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const isBounded = costLog2 >= 10 && blockSize >= 1 && parallelization >= 1 && parallelization <= 4;
  if (!isBounded || 128 * 2 ** costLog2 * blockSize > MAX_MEMORY_BYTES / 2) return undefined;
  const [salt, key] = [Buffer.from(match[4]!, 'base64'), Buffer.from(match[5]!, 'base64')];
  return { costLog2, blockSize, parallelization, salt, key };
}

export async function isPasswordOf(hash: PasswordHash, password: string): Promise<boolean> {
  return timingSafeEqual(await deriveKey(password, hash, hash.key.length), hash.key);
}

function deriveKey(password: string, hash: Omit<PasswordHash, 'key'>, bytes: number): Promise<Buffer> {
  return derive(password, hash.salt, bytes, {
    N: 2 ** hash.costLog2,
    r: hash.blockSize,
    p: hash.parallelization,
    maxmem: MAX_MEMORY_BYTES,
  });
}

const unpadded = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
