import type { Clock } from '../../storage/host/clock.ts';

/** As long as this the event loop has to be idle; what comes more seldom does not count as work. */
const LOOK_MS = 1000;
/** Share of that time in which it may be busy nevertheless. */
const LITTLE = 0.1;

/** Resolves after the first second in which this thread had little to do. Rejects with the signal's reason. */
export async function idleMoment(clock: Clock, signal: AbortSignal, busyShare = eventLoopShare()): Promise<void> {
  do {
    await clock.sleep(LOOK_MS, signal);
  } while (busyShare() >= LITTLE);
}

/** Answers with the share of the time since the last call, 0 to 1. */
function eventLoopShare(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}
