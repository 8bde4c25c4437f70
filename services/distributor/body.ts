import { promisify } from 'node:util';
import { gunzip, inflateRaw } from 'node:zlib';
import { quoteGo } from '../../logql/units/go-quote.ts';
import { PushError } from './push-error.ts';

const gunzipAsync = promisify(gunzip);
const inflateRawAsync = promisify(inflateRaw);

/**
 * Undoes the `Content-Encoding` of a push. `snappy` says nothing here: a protobuf push is always a snappy block, and on
 * JSON the header is ignored. At most `maxBytes` come out, whatever the input claims; zlib works off the main thread.
 */
export async function decodeBody(body: Buffer, contentEncoding: string, maxBytes: number): Promise<Buffer> {
  switch (contentEncoding) {
    case '':
    case 'snappy':
      return body;
    case 'gzip':
      return inflated(() => gunzipAsync(body, { maxOutputLength: maxBytes }), body, maxBytes, 'gzip');
    case 'deflate':
      return inflated(() => inflateRawAsync(body, { maxOutputLength: maxBytes }), body, maxBytes, 'deflate');
    default:
      throw new PushError(400, `Content-Encoding ${quoteGo(contentEncoding)} not supported`);
  }
}

async function inflated(
  run: () => Promise<Buffer>,
  body: Buffer,
  maxBytes: number,
  encoding: 'gzip' | 'deflate',
): Promise<Buffer> {
  try {
    return await run();
  } catch (error: unknown) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ERR_BUFFER_TOO_LARGE') {
      throw new PushError(413, `decompressed message size too large than max (over ${maxBytes})`, { cause: error });
    }
    throw new PushError(400, reason(body, encoding, code), { cause: error });
  }
}

/** What Go says about such input. Raw deflate that is none is read as an end of input by Loki's JSON and snappy readers. */
function reason(body: Buffer, encoding: 'gzip' | 'deflate', code: string | undefined): string {
  if (body.length === 0) return 'EOF';
  if (encoding === 'deflate') return code === 'Z_BUF_ERROR' ? 'unexpected EOF' : 'EOF';
  const magic = [0x1f, 0x8b, 8];
  if (body.length >= 10) return magic.every((byte, i) => body[i] === byte) ? 'unexpected EOF' : 'gzip: invalid header';
  return 'unexpected EOF';
}
