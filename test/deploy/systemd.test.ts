import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadConfig } from '../../services/config/index.ts';
import { ROOT, readText } from './deploy-files.ts';

const unit = readText('deploy/systemd/loptr.service');
const setting = (key: string): string | undefined => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1];

describe('the unit for systemd', () => {
  it('starts the program of the package with the configuration that its head says to install', () => {
    const { bin, version } = JSON.parse(readText('package.json')) as { bin: { loptr: string }; version: string };
    const command = setting('ExecStart')!.split(' ');
    assert.ok(command[1]!.endsWith(`/lib/node_modules/loptr/${bin.loptr}`), command[1]!);
    assert.deepEqual(command.slice(2), ['-config.file=${CONFIGURATION_DIRECTORY}/loptr.yaml', '-config.expand-env']);
    assert.equal(setting('ConfigurationDirectory'), 'loptr');
    assert.match(unit, new RegExp(`loptr-${version.replaceAll('.', '\\.')}\\.tgz`));
    assert.match(unit, / deploy\/loptr\.yaml \/etc\/loptr\/loptr\.yaml$/m);
  });

  it('puts data where it may write: its state directory', () => {
    assert.equal(setting('StateDirectory'), 'loptr');
    const given = /LOPTR_DATA=%S\/loptr$/m;
    assert.match(setting('Environment')!, given);
    const { config } = loadConfig([`-config.file=${join(ROOT, 'deploy/loptr.yaml')}`, '-config.expand-env'], {
      environment: { LOPTR_DATA: '/var/lib/loptr' },
    });
    assert.equal(config.common.path_prefix, '/var/lib/loptr');
  });

  it('gives a stop the time that the configuration takes, and then ends all of it', () => {
    const { config } = loadConfig([`-config.file=${join(ROOT, 'deploy/loptr.yaml')}`, '-config.expand-env']);
    const neededMs = config.shutdown_delay + config.server.graceful_shutdown_timeout;
    const seconds = Number(/^(\d+)s$/.exec(setting('TimeoutStopSec')!)![1]);
    assert.ok(seconds * 1000 >= neededMs + 10_000, `${seconds} s`);
    assert.equal(setting('KillMode'), 'mixed');
    assert.equal(setting('Restart'), 'on-failure');
  });

  it('forbids all but what the program does, and not the code that V8 makes', () => {
    const hardening = {
      DynamicUser: 'yes',
      ProtectSystem: 'strict',
      NoNewPrivileges: 'yes',
      CapabilityBoundingSet: '',
    };
    for (const [key, value] of Object.entries(hardening)) assert.equal(setting(key), value, key);
    for (const key of ['MemoryDenyWriteExecute', 'ProcSubset', 'PrivateNetwork']) assert.equal(setting(key), undefined);
    assert.match(setting('RestrictAddressFamilies')!, /AF_INET AF_INET6 .*AF_NETLINK/);
  });
});
