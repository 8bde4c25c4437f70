/** No call to etcd takes longer. */
const MAX_CALL_MS = 5000;
/** etcd makes shorter leases so long. */
const MIN_LEASE_SECONDS = 2;
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;

/** Times that follow from those of the configuration. */
export class RingTimes {
  readonly periodMs: number;
  readonly leaseSeconds: number;
  readonly leaseMs: number;
  /**
   * An etcd that stands still is noticed after a period and a call. Both together must stay well below a lease: then no
   * lease ends in a standstill that was not noticed.
   */
  readonly callMs: number;

  constructor(heartbeatPeriodMs: number, heartbeatTimeoutMs: number) {
    this.leaseSeconds = Math.max(MIN_LEASE_SECONDS, Math.ceil(heartbeatTimeoutMs / 1000));
    this.leaseMs = this.leaseSeconds * 1000;
    this.callMs = Math.min(MAX_CALL_MS, this.leaseMs / 4);
    this.periodMs = Math.min(heartbeatPeriodMs, this.leaseMs / 4);
  }
}

/** Pause before try number `tries` + 1; never the same for two members, which lost etcd at the same time. */
export function backoffMs(tries: number): number {
  const ceiling = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** Math.min(tries - 1, 10));
  return ceiling / 2 + (Math.random() * ceiling) / 2;
}
