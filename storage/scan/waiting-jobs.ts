/** A job as the order of waiting sees it. */
export interface Queued {
  /** Whose it is. Owners take turns. */
  readonly owner: string;
  /** Blocks to encode take turns with everything else, whoever owns that. */
  readonly isEncoding: boolean;
}

/**
 * Jobs that wait for a worker, in two queues that take turns: one encodes what came in, the other answers queries, so
 * that neither stops the other. Within a queue owners take turns, so that one of them with thousands of jobs delays the
 * next one's by a job, not by thousands; an owner's jobs start in order of arrival.
 */
export class WaitingJobs<J extends Queued> {
  readonly #encodings = new Turns<J>();
  readonly #scans = new Turns<J>();
  #isEncodingNext = true;

  get size(): number {
    return this.#encodings.size + this.#scans.size;
  }

  get encodings(): number {
    return this.#encodings.size;
  }

  add(job: J): void {
    (job.isEncoding ? this.#encodings : this.#scans).add(job);
  }

  /** False when it does not wait (any more). */
  remove(job: J): boolean {
    return (job.isEncoding ? this.#encodings : this.#scans).remove(job);
  }

  /** Takes out the next job that `fits`; null when none does. */
  take(fits: (job: J) => boolean): J | null {
    const [first, second] = this.#isEncodingNext ? [this.#encodings, this.#scans] : [this.#scans, this.#encodings];
    const job = first.take(fits) ?? second.take(fits);
    if (job !== null) this.#isEncodingNext = !job.isEncoding;
    return job;
  }

  takeAll(): J[] {
    return [...this.#encodings.takeAll(), ...this.#scans.takeAll()];
  }
}

class Turns<J extends Queued> {
  /** Jobs by owner. Whose turn it is stands first. */
  readonly #waiting = new Map<string, J[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(job: J): void {
    const jobs = this.#waiting.get(job.owner);
    if (jobs === undefined) this.#waiting.set(job.owner, [job]);
    else jobs.push(job);
    this.#size++;
  }

  remove(job: J): boolean {
    const jobs = this.#waiting.get(job.owner);
    const at = jobs?.indexOf(job) ?? -1;
    if (jobs === undefined || at < 0) return false;
    jobs.splice(at, 1);
    if (jobs.length === 0) this.#waiting.delete(job.owner);
    this.#size--;
    return true;
  }

  take(fits: (job: J) => boolean): J | null {
    for (const [owner, jobs] of this.#waiting) {
      const at = jobs.findIndex(fits);
      if (at < 0) continue;
      const job = jobs[at]!;
      jobs.splice(at, 1);
      this.#waiting.delete(owner);
      if (jobs.length > 0) this.#waiting.set(owner, jobs); // behind the others
      this.#size--;
      return job;
    }
    return null;
  }

  takeAll(): J[] {
    const all = [...this.#waiting.values()].flat();
    this.#waiting.clear();
    this.#size = 0;
    return all;
  }
}
