import { PushError } from './push-error.ts';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * The media type of a `Content-Type` header in lower case, without parameters. Refuses what Go's `mime.ParseMediaType`
 * refuses, with its texts.
 */
export function parseMediaType(header: string): string {
  const semicolon = header.indexOf(';');
  const type = (semicolon < 0 ? header : header.slice(0, semicolon)).trim().toLowerCase();
  if (type === '') throw new PushError(400, 'mime: no media type');
  const slash = type.indexOf('/');
  const major = slash < 0 ? type : type.slice(0, slash);
  if (!TOKEN.test(major)) {
    throw new PushError(
      400,
      slash < 0 ? 'mime: expected slash after first token' : 'mime: expected token before slash',
    );
  }
  if (slash >= 0) {
    const minor = type.slice(slash + 1);
    if (minor === '' || !TOKEN.test(minor)) {
      const isCut = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(minor);
      throw new PushError(
        400,
        isCut ? 'mime: unexpected content after media subtype' : 'mime: expected token after slash',
      );
    }
  }
  checkParameters(semicolon < 0 ? '' : header.slice(semicolon));
  return type;
}

const PARAMETER =
  /\s*;\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*=\s*(?:"(?:[^"\\\r\n]|\\[^\r\n])*"|[!#$%&'*+\-.^_`|~0-9A-Za-z]+)/y;

function checkParameters(text: string): void {
  const names = new Set<string>();
  let at = 0;
  while (at < text.length) {
    PARAMETER.lastIndex = at;
    const match = PARAMETER.exec(text);
    if (match === null) {
      if (/^\s*;?\s*$/.test(text.slice(at))) return; // an ending semicolon is forgiven
      throw new PushError(400, 'mime: invalid media parameter');
    }
    const name = match[1]!.toLowerCase();
    if (names.has(name)) throw new PushError(400, 'mime: duplicate parameter name');
    names.add(name);
    at = PARAMETER.lastIndex;
  }
}
