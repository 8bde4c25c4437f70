import { isIP } from 'node:net';
import { checkServerIdentity, createSecureContext, type PeerCertificate } from 'node:tls';
import { type ChannelCredentials, type ChannelOptions, credentials } from '@grpc/grpc-js';

/** Of the connections to other processes: what `grpc_client_config` says, the files read. */
export interface GrpcClientTls {
  /** Certificates that vouch for servers, in PEM; those of Node when absent. */
  readonly ca?: Buffer;
  /** What this process shows, with its key; both or none. */
  readonly cert?: Buffer;
  readonly key?: Buffer;
  /** The name that certificates must have; by default the host of the address. */
  readonly serverName?: string;
  /** Takes any certificate. */
  readonly insecureSkipVerify?: boolean;
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
}

/** Said to a server that is called by its IP address, for which TLS has no field, and Node refuses to leave it out. */
const NO_NAME = 'localhost';

/**
 * How to talk to `address` (`host:port`). Plain text when `tls` is absent. Throws when certificate and key are none or do
 * not belong together.
 */
export function channelSecurity(
  tls: GrpcClientTls | undefined,
  address: string,
): { readonly credentials: ChannelCredentials; readonly options: ChannelOptions } {
  if (tls === undefined) return { credentials: credentials.createInsecure(), options: {} };
  const { ca, cert, key, insecureSkipVerify = false, minVersion = 'TLSv1.2' } = tls;
  const context = createSecureContext({ minVersion, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) });
  const host = address.slice(0, address.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1');
  const name = tls.serverName || host;
  const isAddress = isIP(name) !== 0;
  return {
    credentials: credentials.createFromSecureContext(context, {
      rejectUnauthorized: !insecureSkipVerify,
      checkServerIdentity: (_: string, certificate: PeerCertificate) => checkServerIdentity(name, certificate),
    }),
    options: {
      'grpc.ssl_target_name_override': isAddress ? NO_NAME : name,
      ...(!isAddress && { 'grpc.default_authority': name }),
    },
  };
}
