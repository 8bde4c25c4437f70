import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { requirePrograms } from '../servers/daemon.ts';
import { readText } from './deploy-files.ts';

/** systemd-analyze's measure of what a service could still do, from 0 to 100; 9.6 of 10 is a unit without any protection. */
const MOST_EXPOSED = 20;

describe('the unit, to systemd itself', () => {
  let directory: string;
  let unit: string;

  before(async () => {
    await requirePrograms('systemd-analyze');
    directory = await mkdtemp(join(tmpdir(), 'loptr-systemd-'));
    unit = join(directory, 'loptr.service');
    // The Node of the test stands for the one that is to be installed there.
    await writeFile(unit, readText('deploy/systemd/loptr.service').replace('/usr/local/bin/node', process.execPath));
  });
  after(() => rm(directory, { recursive: true }));

  it('has no key and no value that systemd does not know', () => {
    const done = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' });
    assert.deepEqual([done.status, done.stderr.trim(), done.stdout.trim()], [0, '', '']);
  });

  it(`is exposed by no more than ${MOST_EXPOSED} of 100`, () => {
    const args = ['security', '--offline=true', `--threshold=${MOST_EXPOSED}`, '--no-pager', unit];
    const done = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    assert.equal(done.status, 0, done.stdout);
  });
});
