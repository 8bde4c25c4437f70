declare module 'hashring' {
  /** A ketama-compatible consistent ring. */
  export default class HashRing {
    constructor(
      servers: readonly string[] | Readonly<Record<string, { readonly vnodes: number }>>,
      algorithm?: string | ((text: string) => Uint8Array),
      options?: { readonly 'vnode count'?: number },
    );
    /** `count` distinct servers in the order of the ring, all of them if there are fewer. */
    range(key: string, count: number): string[];
    /** Where each server stands on the ring, ascending. */
    points(servers: readonly string[]): Record<string, number[]>;
    /** Where a key stands on the ring. */
    hashValue(key: string): number;
  }
}
