declare module 'memjs' {
  interface ServerOptions {
    /** Of an answer, in seconds. */
    readonly timeout?: number;
    /** Of a connection, in seconds. */
    readonly conntimeout?: number;
    readonly keepAlive?: boolean;
  }
  interface ClientOptions extends ServerOptions {
    /** Attempts in all. */
    readonly retries?: number;
    readonly logger?: { log(...messages: readonly unknown[]): void };
  }
  class Server {
    constructor(host: string, port: number, username: string, password: string, options?: ServerOptions);
  }
  class Client {
    constructor(servers: readonly Server[], options?: ClientOptions);
    get(key: string): Promise<{ readonly value: Buffer | null }>;
    /** `expires`: seconds, up to 30 days; 0: never. */
    set(key: string, value: Buffer, options: { readonly expires: number }): Promise<boolean>;
    close(): void;
  }
  const memjs: { readonly Client: typeof Client; readonly Server: typeof Server };

  export type { Client, Server };
  export default memjs;
}
