/**
 * Keys as paths. A part of a key is one folder or file name: letters, digits and `_-=.` stay, other bytes become `%XX`,
 * and so does a leading dot. A name that would be longer than MAX_NAME is cut into folders that end in a bare `%`.
 */
import { join } from 'node:path';

/** Below the 255 bytes of common file systems, and a multiple of 3 minus 1 so that the mark fits. */
const MAX_NAME = 200;

export function pathOfKey(key: string): string {
  return join(...key.split('/').flatMap(encodePart));
}

function encodePart(part: string): string[] {
  let name = '';
  const bytes = Buffer.from(part, 'utf8');
  bytes.forEach((byte, i) => {
    const char = String.fromCharCode(byte);
    const isPlain = /[A-Za-z0-9_\-=.]/.test(char) && !(char === '.' && i === 0);
    name += isPlain ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  });
  const names: string[] = [];
  for (let at = 0; at < name.length; at += MAX_NAME) {
    const isLast = at + MAX_NAME >= name.length;
    names.push(name.slice(at, at + MAX_NAME) + (isLast ? '' : '%'));
  }
  return names;
}

/** The key of `names`, folders first; null when no key has that path (a stranger's file). */
export function keyOfNames(names: readonly string[]): string | null {
  const parts: string[] = [];
  let part = '';
  for (const name of names) {
    const isCut = name.length === MAX_NAME + 1 && name.endsWith('%');
    part += isCut ? name.slice(0, -1) : name;
    if (isCut) continue;
    parts.push(part);
    part = '';
  }
  const bytes = (text: string): Buffer =>
    Buffer.from(
      text.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
      'latin1',
    );
  const key = parts.map((p) => bytes(p).toString('utf8')).join('/');
  return part === '' && key !== '' && pathOfKey(key) === join(...names) ? key : null;
}
