import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { decodeBody } from './body.ts';
import { decodeLz4Frames } from './lz4-frame.ts';
import { decodeOtlpJson } from './otlp-json.ts';
import type { OtlpSink } from './otlp-value.ts';
import { decodeOtlpWire } from './otlp-wire.ts';
import { PushError } from './push-error.ts';
import type { Sliced } from './sliced.ts';

const zstdAsync = promisify(zstdDecompress);

/**
 * Undoes the `Content-Encoding` of an export. At most `maxBytes` come out, whatever the input claims. Throws PushError with
 * Loki's text for an encoding that it does not know.
 */
export async function decodeOtlpBody(body: Buffer, contentEncoding: string, maxBytes: number): Promise<Buffer> {
  switch (contentEncoding) {
    case '':
      return body;
    case 'gzip':
      return decodeBody(body, 'gzip', maxBytes);
    case 'zstd':
      return decodeZstd(body, maxBytes);
    case 'lz4':
      return decodeLz4Frames(body, maxBytes);
    default:
      throw new PushError(
        400,
        `unsupported content encoding ${contentEncoding}: only gzip, lz4 and zstd are supported`,
      );
  }
}

async function decodeZstd(body: Buffer, maxBytes: number): Promise<Buffer> {
  if (body.length === 0) return body;
  try {
    return await zstdAsync(body, { maxOutputLength: maxBytes });
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new PushError(413, `decompressed message size too large than max (over ${maxBytes})`, { cause: error });
    }
    const isFrame = body.length >= 4 && body.readUInt32LE(0) === ZSTD_MAGIC;
    throw new PushError(400, isFrame ? 'unexpected EOF' : 'invalid input: magic number mismatch', { cause: error });
  }
}

const ZSTD_MAGIC = 0xfd2fb528;

/** How an export of this content type is read; the type is compared as it stands. */
export function otlpDecoderOf(contentType: string): (body: Buffer, sink: OtlpSink) => Sliced<void> {
  switch (contentType) {
    case 'application/x-protobuf':
      return decodeOtlpWire;
    case 'application/json':
      return decodeOtlpJson;
    default:
      throw new PushError(400, `content type: ${contentType} is not supported`);
  }
}
