import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WaitingJobs } from './waiting-jobs.ts';

interface Job {
  readonly owner: string;
  readonly isEncoding: boolean;
  readonly name: string;
}
const scan = (owner: string, n: number): Job => ({ owner, isEncoding: false, name: `${owner}${n}` });
const encoding = (n: number): Job => ({ owner: '', isEncoding: true, name: `e${n}` });

function waitingJobs(...jobs: Job[]): WaitingJobs<Job> {
  const waiting = new WaitingJobs<Job>();
  for (const job of jobs) waiting.add(job);
  return waiting;
}

function drain(waiting: WaitingJobs<Job>, fits: (job: Job) => boolean = () => true): string[] {
  const names: string[] = [];
  for (let job = waiting.take(fits); job !== null; job = waiting.take(fits)) names.push(job.name);
  return names;
}

describe('jobs that wait for a worker', () => {
  it('go by turns of their owners, an owner’s own in order of arrival', () => {
    const waiting = waitingJobs(scan('a', 1), scan('a', 2), scan('a', 3), scan('b', 1), scan('c', 1), scan('c', 2));
    assert.deepEqual(drain(waiting), ['a1', 'b1', 'c1', 'a2', 'c2', 'a3']);
    assert.equal(waiting.size, 0);
  });

  it('let encoding and scanning take turns, however many of the other there are', () => {
    const few = waitingJobs(scan('a', 1), scan('a', 2), scan('b', 1), scan('b', 2), encoding(1), encoding(2));
    assert.deepEqual(drain(few), ['e1', 'a1', 'e2', 'b1', 'a2', 'b2']);
    const many = waitingJobs(encoding(1), encoding(2), encoding(3), scan('a', 1));
    assert.deepEqual(drain(many), ['e1', 'a1', 'e2', 'e3']);
  });

  it('are passed over while they do not fit, and keep their place', () => {
    const waiting = waitingJobs(scan('a', 1), scan('a', 2), scan('b', 1));
    assert.equal(waiting.take((job) => job.name === 'a2')?.name, 'a2');
    assert.equal(
      waiting.take(() => false),
      null,
    );
    assert.deepEqual(drain(waiting), ['b1', 'a1']);
  });

  it('can be taken back, once', () => {
    const [first, second] = [scan('a', 1), scan('a', 2)];
    const waiting = waitingJobs(first, second);
    assert.deepEqual([waiting.remove(first), waiting.remove(first), waiting.size], [true, false, 1]);
    assert.deepEqual(
      waiting.takeAll().map((job) => job.name),
      ['a2'],
    );
    assert.equal(waiting.size, 0);
  });
});
