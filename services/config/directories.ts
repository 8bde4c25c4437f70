import { join } from 'node:path';
import type { Config } from './schema.ts';

/** Where data lies, with everything that follows from other keys filled in. */
export interface Directories {
  readonly base: string;
  readonly wal: string;
  /** Stored logs when they lie in the file system. */
  readonly objects: string;
  /** The mark of `/ingester/prepare_shutdown`. */
  readonly shutdownMarker: string;
}

export function directoriesOf(config: Config): Directories {
  const base = config.common.path_prefix || 'data';
  const wal = config.ingester.wal.dir || join(base, 'wal');
  return {
    base,
    wal,
    objects:
      config.storage_config.filesystem.directory ||
      config.common.storage.filesystem.chunks_directory ||
      join(base, 'chunks'),
    shutdownMarker: config.ingester.shutdown_marker_path || wal,
  };
}

/** What an S3 client needs; undefined members are left to the SDK. */
export interface S3Settings {
  readonly bucket: string;
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly accessKeyId: string | undefined;
  readonly secretAccessKey: string | undefined;
  readonly sessionToken: string | undefined;
  readonly forcePathStyle: boolean;
  readonly maxAttempts: number;
  readonly requestChecksumCalculation: 'WHEN_SUPPORTED' | 'WHEN_REQUIRED';
  readonly responseChecksumValidation: 'WHEN_SUPPORTED' | 'WHEN_REQUIRED';
}

/** The object store of the newest period: `undefined` stands for the file system. */
export function s3SettingsOf(config: Config): S3Settings | undefined {
  const period = config.schema_config.configs.at(-1);
  const { aws } = config.storage_config;
  const common = config.common.storage.s3;
  const hasAws = aws.bucketnames !== '' || aws.s3 !== '';
  const chosen = hasAws ? aws : common;
  const isS3 =
    period === undefined ? chosen.bucketnames !== '' || chosen.s3 !== '' : period.object_store !== 'filesystem';
  if (!isS3) return undefined;
  const fromUrl = chosen.s3 === '' ? undefined : readS3Url(chosen.s3);
  const endpoint = chosen.endpoint || fromUrl?.endpoint || '';
  return {
    bucket: chosen.bucketnames.split(',')[0] || fromUrl?.bucket || '',
    endpoint: endpoint === '' ? undefined : withScheme(endpoint, chosen.insecure),
    region: chosen.region || fromUrl?.region || 'us-east-1',
    accessKeyId: chosen.access_key_id || fromUrl?.accessKeyId,
    secretAccessKey: chosen.secret_access_key || fromUrl?.secretAccessKey,
    sessionToken: chosen.session_token || undefined,
    forcePathStyle: chosen.s3forcepathstyle,
    maxAttempts: chosen.backoff_config.max_retries,
    requestChecksumCalculation: chosen.request_checksum_calculation as 'WHEN_SUPPORTED' | 'WHEN_REQUIRED',
    responseChecksumValidation: chosen.response_checksum_validation as 'WHEN_SUPPORTED' | 'WHEN_REQUIRED',
  };
}

function withScheme(endpoint: string, insecure: boolean): string {
  if (endpoint.includes('://')) return endpoint;
  return `${insecure ? 'http' : 'https'}://${endpoint}`;
}

interface S3Url {
  readonly bucket: string;
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly accessKeyId: string | undefined;
  readonly secretAccessKey: string | undefined;
}

/** `s3://key:secret@host-or-region/bucket`; a host with a dot or a port is an endpoint, any other one a region. */
function readS3Url(text: string): S3Url {
  const url = new URL(text);
  const isEndpoint = url.host.includes('.') || url.port !== '';
  const scheme = url.protocol === 's3:' ? '' : `${url.protocol}//`;
  return {
    bucket: url.pathname.replace(/^\//, ''),
    endpoint: isEndpoint ? scheme + url.host : undefined,
    region: isEndpoint ? undefined : url.host,
    accessKeyId: decodeURIComponent(url.username) || undefined,
    secretAccessKey: decodeURIComponent(url.password) || undefined,
  };
}
