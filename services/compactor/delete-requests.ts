import { randomBytes } from 'node:crypto';
import type { LogSelectorExpr } from '../../logql/syntax/ast.ts';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import { type ObjectStore, ObjectStoreError } from '../../storage/objectstore/index.ts';
import { encodeTenant } from '../../storage/segment/index.ts';
import type { LimitsProvider } from '../config/limits.ts';
import type { DeleteSource, PendingDelete } from '../rpc/deletes.ts';
import {
  compileDeleteRequest,
  type DeleteRequest,
  DeleteRequestError,
  decodeDeleteRequest,
  encodeDeleteRequest,
} from './delete-request.ts';

export interface DeleteRequestsOptions {
  readonly store: ObjectStore;
  /** `compactor.delete_request_store_key_prefix` */
  readonly keyPrefix: string;
  readonly limits: LimitsProvider;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface KnownRequest extends PendingDelete {
  readonly request: DeleteRequest;
  readonly expr: LogSelectorExpr;
}

const NONE: readonly PendingDelete[] = [];

/**
 * The delete requests of all tenants: one small object each in the object store, all of them in memory. One that is
 * taken in hides rows in the tick in which it is stored.
 *
 *     <prefix>delete_requests/<tenant>/<created, ms since 1970, 12 hexadecimal digits>-<id>.json
 */
export class DeleteRequests implements DeleteSource {
  readonly #o: DeleteRequestsOptions;
  /** By tenant, then by key. */
  #known = new Map<string, Map<string, KnownRequest>>();
  /** Those that hide rows, made when a tenant's requests change. */
  #pending = new Map<string, readonly KnownRequest[]>();
  /** When a tenant's requests last changed, ms since 1970. */
  readonly #changedMs = new Map<string, number>();
  /** What changed here while the store is read; null: taken back. */
  #changes = new Map<string, KnownRequest | null>();
  #loading: Promise<void> = Promise.resolve();

  constructor(options: DeleteRequestsOptions) {
    this.#o = options;
  }

  /**
   * Reads what the store holds, also what other processes changed there. One reading at a time: an earlier one that ends
   * later would bring back what it had seen. Throws ObjectStoreError.
   */
  load(): Promise<void> {
    const loaded = this.#loading.then(() => this.#load());
    this.#loading = loaded.catch(() => {}); // told to who asked for it
    return loaded;
  }

  async #load(): Promise<void> {
    const { store, logger } = this.#o;
    const found = new Map<string, Map<string, KnownRequest>>();
    this.#changes = new Map();
    for await (const { key } of store.list(`${this.#o.keyPrefix}delete_requests/`)) {
      const known = this.#find(key);
      // What is processed stays so; anything else may have changed.
      const one = known?.request.status === 'processed' ? known : await this.#read(key);
      if (one === null) continue;
      if (one instanceof Error) {
        logger.error('delete request cannot be read and is left out', { object: key, err: one });
        continue;
      }
      const { tenant } = one.request;
      const requests = found.get(tenant) ?? new Map<string, KnownRequest>();
      found.set(tenant, requests.set(key, one));
    }
    for (const [key, one] of this.#changes) {
      for (const requests of found.values()) requests.delete(key);
      if (one === null) continue;
      const { tenant } = one.request;
      found.set(tenant, (found.get(tenant) ?? new Map<string, KnownRequest>()).set(key, one));
    }
    this.#known = found;
    this.#pending = new Map();
    for (const [tenant, requests] of found) {
      this.#renew(tenant);
      const newest = Math.max(...[...requests.values()].map(({ request }) => request.createdMs));
      if (requests.size > 0 && !this.#changedMs.has(tenant)) this.#changedMs.set(tenant, newest);
    }
  }

  pending(tenant: string): readonly PendingDelete[] {
    const pending = this.#pending.get(tenant);
    if (pending === undefined) return NONE;
    return this.#o.limits.for(tenant).deletion_mode === 'disabled' ? NONE : pending;
  }

  /** Requests that are not carried out, oldest first, whatever the tenant's mode. */
  unprocessed(tenant: string): readonly KnownRequest[] {
    return this.#pending.get(tenant) ?? [];
  }

  /** Tenants with requests that are not carried out. */
  tenants(): string[] {
    return [...this.#pending.keys()];
  }

  /** All requests of a tenant, oldest first. */
  list(tenant: string): DeleteRequest[] {
    return [...(this.#known.get(tenant)?.values() ?? [])]
      .map(({ request }) => request)
      .sort((a, b) => a.createdMs - b.createdMs || (a.id < b.id ? -1 : 1));
  }

  find(tenant: string, id: string): DeleteRequest | undefined {
    return this.list(tenant).find((request) => request.id === id);
  }

  /** Changes whenever the tenant's answers may change; '' while it never had a request. */
  generation(tenant: string): string {
    const changed = this.#changedMs.get(tenant);
    return changed === undefined ? '' : String(changed);
  }

  /** Stores a request; it holds once this resolves. Throws DeleteRequestError and ObjectStoreError. */
  async add(asked: Pick<DeleteRequest, 'tenant' | 'query' | 'startMs' | 'endMs'>): Promise<DeleteRequest> {
    let id: string;
    do id = randomBytes(4).toString('hex');
    while (this.find(asked.tenant, id));
    const request: DeleteRequest = { ...asked, id, createdMs: this.#o.clock.nowMs(), status: 'received' };
    const known = { ...compileDeleteRequest(request), request };
    const key = this.#keyOf(request);
    await this.#o.store.put(key, [encodeDeleteRequest(request)]);
    this.#set(key, known);
    return request;
  }

  /** Takes a request back: its rows are found again. Throws ObjectStoreError. */
  async cancel(request: DeleteRequest): Promise<void> {
    const key = this.#keyOf(request);
    await this.#o.store.delete(key);
    this.#known.get(request.tenant)?.delete(key);
    this.#noteChange(request.tenant, key, null);
  }

  /** Its rows are gone, and it hides nothing any more. Throws ObjectStoreError. */
  async markProcessed({ request, ...compiled }: KnownRequest): Promise<void> {
    const key = this.#keyOf(request);
    if (this.#find(key) === undefined) return; // taken back meanwhile
    const processed: DeleteRequest = { ...request, status: 'processed' };
    await this.#o.store.put(key, [encodeDeleteRequest(processed)]);
    this.#set(key, { ...compiled, request: processed });
  }

  #set(key: string, known: KnownRequest): void {
    const { tenant } = known.request;
    const requests = this.#known.get(tenant) ?? new Map<string, KnownRequest>();
    this.#known.set(tenant, requests.set(key, known));
    this.#noteChange(tenant, key, known);
  }

  #noteChange(tenant: string, key: string, known: KnownRequest | null): void {
    this.#changes.set(key, known);
    this.#changedMs.set(tenant, this.#o.clock.nowMs());
    this.#renew(tenant);
  }

  #renew(tenant: string): void {
    const all = [...(this.#known.get(tenant)?.values() ?? [])];
    const pending = all.filter(({ request }) => request.status === 'received');
    pending.sort((a, b) => a.request.createdMs - b.request.createdMs);
    if (pending.length > 0) this.#pending.set(tenant, pending);
    else this.#pending.delete(tenant);
  }

  #find(key: string): KnownRequest | undefined {
    for (const requests of this.#known.values()) {
      const known = requests.get(key);
      if (known) return known;
    }
    return undefined;
  }

  #keyOf({ tenant, createdMs, id }: DeleteRequest): string {
    const created = createdMs.toString(16).padStart(12, '0');
    return `${this.#o.keyPrefix}delete_requests/${encodeTenant(tenant)}/${created}-${id}.json`;
  }

  /** Null when it is gone, an error when it is no request. */
  async #read(key: string): Promise<KnownRequest | Error | null> {
    let bytes: Uint8Array;
    try {
      bytes = await this.#o.store.get(key);
    } catch (error: unknown) {
      if (error instanceof ObjectStoreError && error.code === 'not_found') return null;
      throw error;
    }
    const request = decodeDeleteRequest(bytes);
    if (request === null || this.#keyOf(request) !== key) return new DeleteRequestError('not a delete request');
    try {
      return { ...compileDeleteRequest(request), request };
    } catch (error: unknown) {
      if (error instanceof DeleteRequestError) return error;
      throw error;
    }
  }
}
