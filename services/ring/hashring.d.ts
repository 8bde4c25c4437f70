declare module 'hashring' {
  /** A ketama-compatible consistent ring. */
  export default class HashRing {
    constructor(servers: readonly string[], algorithm?: string);
    /** `count` distinct servers in the order of the ring, all of them if there are fewer. */
    range(key: string, count: number): string[];
  }
}
