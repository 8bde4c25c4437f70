import type { Server, ServerOptions } from 'node:http';
import { createServer, type Server as HttpsServer } from 'node:https';
import type { SecureContextOptions, TLSSocket } from 'node:tls';

/** What is asked of clients' certificates; Go's names, as Loki's configuration has them. */
export type ClientAuth =
  | 'NoClientCert'
  | 'RequestClientCert'
  | 'RequireAnyClientCert'
  | 'VerifyClientCertIfGiven'
  | 'RequireAndVerifyClientCert';

export interface HttpTls {
  readonly context: SecureContextOptions;
  readonly clientAuth: ClientAuth;
}

/** An HTTPS server behind the interface of an HTTP one. */
export function createTlsServer(options: ServerOptions, { context, clientAuth }: HttpTls): Server {
  const server = createServer({
    ...options,
    ...context,
    requestCert: clientAuth !== 'NoClientCert',
    rejectUnauthorized: clientAuth === 'RequireAndVerifyClientCert',
  });
  // Node knows all or nothing; the steps between are judged here, before HTTP sees a byte.
  server.prependListener('secureConnection', (socket: TLSSocket) => {
    const isGiven = Object.keys(socket.getPeerCertificate()).length > 0;
    const isRefused =
      (clientAuth === 'RequireAnyClientCert' && !isGiven) ||
      (clientAuth === 'VerifyClientCertIfGiven' && isGiven && !socket.authorized);
    if (isRefused) socket.destroy();
  });
  return server as unknown as Server;
}

/** New connections get the new certificate, those that are open keep theirs. */
export function replaceContext(server: Server, context: SecureContextOptions): void {
  (server as unknown as HttpsServer).setSecureContext(context);
}
