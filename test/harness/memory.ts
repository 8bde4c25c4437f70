import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** Most memory (MiB) that a process had so far where the system tells, else what it has now. */
export function peakMemoryMb(pid: number): number {
  const status = `/proc/${pid}/status`;
  const kib = existsSync(status)
    ? /VmHWM:\s+(\d+) kB/.exec(readFileSync(status, 'utf8'))![1]
    : execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' });
  return Number(kib) / 1024;
}
