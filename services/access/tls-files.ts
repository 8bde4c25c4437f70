import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** Certificates that vouch for clients; '' for none. */
  readonly clientCaFile: string;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}

/** A file of TLS that holds something else. */
export class TlsFileError extends Error {
  readonly code = 'bad_tls_file';
}

/** The files in the order in which `readTls` takes their contents. */
export const namesOf = ({ certFile, keyFile, clientCaFile }: TlsFiles): string[] =>
  [certFile, keyFile, clientCaFile].filter((file) => file !== '');

/** What a server needs of the files. Throws TlsFileError, which names the file that is wrong. */
export function readTls(files: TlsFiles, contents: readonly Buffer[]): SecureContextOptions {
  const [cert, key, ca] = contents;
  const certificate = attempt(`${files.certFile}: not a certificate in PEM`, () => new X509Certificate(cert!));
  const privateKey = attempt(`${files.keyFile}: not a private key in PEM without a passphrase`, () =>
    createPrivateKey(key!),
  );
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new TlsFileError(`${files.keyFile}: not the key of the certificate in ${files.certFile}`);
  }
  if (ca !== undefined) attempt(`${files.clientCaFile}: not a certificate in PEM`, () => new X509Certificate(ca));
  const options: SecureContextOptions = { cert: cert!, key: key!, minVersion: files.minVersion, ...(ca && { ca }) };
  attempt(`${namesOf(files).join(', ')}: refused by TLS`, () => createSecureContext(options));
  return options;
}

function attempt<T>(problem: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    throw new TlsFileError(`${problem} (${cause instanceof Error ? cause.message : cause})`, { cause });
  }
}
