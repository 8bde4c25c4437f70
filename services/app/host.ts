import type { Registry } from 'prom-client';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import type { Config, Service, TenantLimits, Version } from '../config/index.ts';
import type { ProgramLog } from '../log/index.ts';

/** What every part of the process is made from. */
export interface Host {
  readonly config: Config;
  readonly version: Version;
  readonly services: ReadonlySet<Service>;
  readonly limits: TenantLimits;
  readonly clock: Clock;
  readonly log: ProgramLog;
  /** A child of the program's logger that names its component. */
  readonly logger: (component: string) => Logger;
  readonly registry: Registry;
  /** Parts are stopped in the reverse of the order in which they called this; `deadlineMs` is how long that may take. */
  readonly onStop: (name: string, run: (deadlineMs: number) => Promise<void>) => void;
  /** Asks for the end of the process, as a signal does. */
  readonly terminate: () => void;
}
