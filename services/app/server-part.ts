import type { AccessControl } from '../access/index.ts';
import type { Config } from '../config/index.ts';
import type { Distributor } from '../distributor/index.ts';
import { type ClientAuth, HttpServer, type Route, type SocketRoute } from '../http/index.ts';
import { resolveTenants } from '../http/tenants.ts';
import { GrpcServer, type GrpcService } from '../rpc/grpc-server.ts';
import { startAccess, startTls } from './access-part.ts';
import type { Host } from './host.ts';

export interface Endpoints {
  /** `http://host:port` with the prefix of all routes. */
  readonly http: string;
  /** `host:port` */
  readonly grpc: string;
}

export interface Served {
  readonly routes: readonly Route[];
  readonly sockets: readonly SocketRoute[];
  /** Takes pushes over gRPC too, where there is one. */
  readonly distributor: Distributor | undefined;
  /** For the other processes of the installation. */
  readonly services: readonly GrpcService[];
}

export interface ServerPart {
  /** Takes no more requests over HTTP. */
  readonly stopHttp: (deadlineMs: number) => Promise<void>;
  readonly grpc: GrpcServer;
  readonly grpcPort: number;
  readonly endpoints: Endpoints;
}

/** Listens on HTTP and gRPC. */
export async function startServer(host: Host, served: Served): Promise<ServerPart> {
  const { server, frontend, auth_enabled: authEnabled, querier } = host.config;
  const tenancy = { authEnabled, multiTenantQueries: querier.multi_tenant_queries_enabled };
  const access = await startAccess(host);
  const httpTls = await startTls(host, server.http_tls_config, (context) => http.replaceCertificate(context));
  const grpcTls = await startTls(host, server.grpc_tls_config, (context) => grpc.replaceCertificate(context));
  const prefix = server.http_path_prefix || host.config.http_prefix;
  const http = new HttpServer({
    routes: served.routes,
    sockets: served.sockets,
    prefix,
    address: server.http_listen_address,
    port: server.http_listen_port,
    maxConnections: server.http_listen_conn_limit,
    readTimeoutMs: server.http_server_read_timeout,
    readHeaderTimeoutMs: server.http_server_read_header_timeout,
    writeTimeoutMs: server.http_server_write_timeout,
    idleTimeoutMs: server.http_server_idle_timeout,
    maxFormBytes: frontend.max_body_size,
    compressResponses: frontend.compress_responses,
    logRequestsAtInfo: server.log_request_at_info_level_enabled,
    tenancy,
    gatekeeper: access,
    tls: httpTls && {
      context: httpTls.value,
      clientAuth: (server.http_tls_config.client_auth_type || 'NoClientCert') as ClientAuth,
    },
    registry: host.registry,
    logger: host.logger('http'),
  });
  const grpc = new GrpcServer({
    address: server.grpc_listen_address,
    port: server.grpc_listen_port,
    maxReceiveBytes: server.grpc_server_max_recv_msg_size,
    maxSendBytes: server.grpc_server_max_send_msg_size,
    maxConcurrentStreams: server.grpc_server_max_concurrent_streams,
    tls: grpcTls && {
      context: grpcTls.value,
      verifyClients: server.grpc_tls_config.client_auth_type === 'RequireAndVerifyClientCert',
    },
    ...(served.distributor && { push: pushOverGrpc(served.distributor, access, tenancy) }),
    services: served.services,
    onCall: (method, code, seconds) => http.metrics.observe('gRPC', method, code, false, seconds),
    logger: host.logger('grpc'),
  });
  const httpPort = await http.start();
  const grpcPort = await grpc.start();
  // Others still ask for rows while they are being stored: HTTP ends first, gRPC when the ingester is through.
  host.onStop('grpc', (deadlineMs) => grpc.stop(AbortSignal.timeout(deadlineMs)));
  return {
    stopHttp: (deadlineMs) => http.stop(AbortSignal.timeout(deadlineMs)),
    grpc,
    grpcPort,
    endpoints: {
      http: `${httpTls ? 'https' : 'http'}://${hostOf(server.http_listen_address)}:${httpPort}${prefix}`,
      grpc: `${hostOf(server.grpc_listen_address)}:${grpcPort}`,
    },
  };
}

function pushOverGrpc(
  distributor: Distributor,
  access: AccessControl | undefined,
  tenancy: { readonly authEnabled: Config['auth_enabled']; readonly multiTenantQueries: boolean },
) {
  return async (orgId: string, message: Buffer, signal: AbortSignal, authorization: string): Promise<void> => {
    const target = { route: 'loki_api_v1_push', method: 'POST', auth: 'tenant' } as const;
    const caller = await access?.admit(authorization, target);
    const [tenant] = resolveTenants(orgId, 'tenant', tenancy, caller).ids;
    await distributor.pushMessage(tenant!, message, signal);
  };
}

/** Where a person can reach what listens on `address`. */
function hostOf(address: string): string {
  if (address === '' || address === '0.0.0.0' || address === '::') return 'localhost';
  return address.includes(':') ? `[${address}]` : address;
}
