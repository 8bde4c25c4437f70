import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { type StreamResult, TestClient, until } from '../harness/client.ts';
import { TestServer } from '../harness/server.ts';
import { Daemon, freePorts, requirePrograms } from './daemon.ts';

const LINES = 1000;
const LEVELS = ['err', 'warning', 'info'] as const;
/** Severities of RFC 5424 with the facility local0 (16). */
const PRIORITIES = { err: 131, warning: 132, info: 134 } as const;

/** A line with its time in whole microseconds, which is what syslog carries. */
interface SyslogLine {
  readonly level: (typeof LEVELS)[number];
  readonly timeUs: bigint;
  readonly text: string;
}

describe('syslog-ng with its http() destination', () => {
  let directory: string;
  let server: TestServer;
  let syslog: Daemon;
  let syslogPort: number;

  before(async () => {
    await requirePrograms('syslog-ng', 'logger');
    directory = await mkdtemp(join(tmpdir(), 'loptr-syslog-'));
    server = await TestServer.start({ cwd: directory });
    [syslogPort] = (await freePorts(1)) as [number];
    const file = (name: string): string => join(directory, name);
    await writeFile(file('syslog-ng.conf'), configuration(syslogPort, file('log.sock'), server.url));
    const paths = ['-f', file('syslog-ng.conf'), '-c', file('control.sock'), '-p', file('pid'), '-R', file('persist')];
    syslog = await Daemon.start(
      'syslog-ng',
      ['--foreground', '--no-caps', '--stderr', ...paths],
      file('syslog-ng.out'),
    );
    await syslog.accepts(() => send(syslogPort, []));
  });
  after(async () => {
    await syslog?.stop();
    await server?.stop();
    if (directory) await rm(directory, { recursive: true });
  });

  /** All of a program's streams, once they hold `count` lines. */
  const streamsOf = (program: string, count: number, startUs: bigint): Promise<readonly StreamResult[]> =>
    until(`${count} lines of ${program}`, async () => {
      const query = `{job="syslog-ng", program="${program}"}`;
      const params = { query, limit: 5000, start: startUs * 1000n, end: (startUs + 3600_000_000n) * 1000n };
      const { result } = await new TestClient(server.url).range({ ...params, direction: 'forward' });
      return result.reduce((sum, { values }) => sum + values.length, 0) >= count && result;
    }).catch(async (error: unknown) => {
      throw new Error(await syslog.lastLines(), { cause: error });
    });

  it('has every line of a TCP connection found once, at its time and with its labels', async () => {
    const startUs = BigInt(Date.now()) * 1000n;
    const lines = linesFrom(startUs);
    await send(
      syslogPort,
      lines.map((line) => rfc5424('tcp', line)),
    );
    const streams = await streamsOf('tcp', LINES, startUs);
    assert.deepEqual(
      streams.map(({ stream }) => stream).sort((a, b) => (a['level']! < b['level']! ? -1 : 1)),
      [
        { detected_level: 'error', level: 'err' },
        { detected_level: 'info', level: 'info' },
        { detected_level: 'warn', level: 'warning' },
      ].map((levels) => ({
        ...levels,
        job: 'syslog-ng',
        host: 'web-1.example.org',
        program: 'tcp',
        service_name: 'syslog-ng',
        facility: 'local0',
        pid: '42',
      })),
    );
    for (const { stream, values } of streams) {
      const wanted = lines.filter(({ level }) => level === stream['level']);
      assert.deepEqual(
        values,
        wanted.map(({ timeUs, text }) => [`${timeUs}000`, text]),
      );
    }
  });

  it('has every line that logger writes to the unix socket found once', async () => {
    const startUs = BigInt(Date.now() - 1000) * 1000n;
    const texts = Array.from({ length: 200 }, (_, i) => `line ${i} of "logger" \\ ${i % 7}`);
    await writeFile(join(directory, 'lines'), `${texts.join('\n')}\n`);
    const to = ['--socket', join(directory, 'log.sock'), '--socket-errors=on', '--file', join(directory, 'lines')];
    await promisify(execFile)('logger', [...to, '--tag', 'unix', '--priority', 'daemon.warning']);
    const streams = await streamsOf('unix', texts.length, startUs);
    const found = streams.flatMap(({ values }) => values.map(([, text]) => text));
    assert.deepEqual(found.sort(), texts.sort());
    for (const { stream } of streams) {
      assert.equal(stream['level'], 'warning');
      assert.equal(stream['facility'], 'daemon');
    }
  });

  it('brings the lines of an outage once the server is back, every one once', async () => {
    const startUs = BigInt(Date.now()) * 1000n;
    const lines = linesFrom(startUs);
    const half = lines.length / 2;
    const sent = (part: readonly SyslogLine[]) =>
      send(
        syslogPort,
        part.map((line) => rfc5424('outage', line)),
      );
    await sent(lines.slice(0, half));
    await streamsOf('outage', half, startUs);
    assert.deepEqual(await server.stop(), { code: 0, signal: null });
    await sent(lines.slice(half));
    server = await TestServer.start({ cwd: directory, ports: server.ports });
    const streams = await streamsOf('outage', LINES, startUs);
    const found = streams.flatMap(({ values }) => values.map(([time, text]) => `${time} ${text}`));
    assert.deepEqual(found.sort(), lines.map(({ timeUs, text }) => `${timeUs}000 ${text}`).sort());
  });
});

/** Lines with all that JSON must escape, numbers, and more than one line in one. */
function linesFrom(startUs: bigint): SyslogLine[] {
  const texts = [
    (i: number) => `line ${i} "quoted" C:\\path\\${i} {"json":[${i}]}`,
    (i: number) => `line ${i}\ttab, ünïcödé, 🦊 and $MACRO %s`,
    (i: number) => `line ${i}\n  at second (line.js:${i})`,
    (i: number) => `${i}`,
  ];
  return Array.from({ length: LINES }, (_, i) => ({
    level: LEVELS[i % LEVELS.length]!,
    timeUs: startUs + BigInt(i) * 37n,
    text: texts[i % texts.length]!(i),
  }));
}

function rfc5424(program: string, { level, timeUs, text }: SyslogLine): string {
  const seconds = new Date(Number(timeUs / 1_000_000n) * 1000).toISOString().slice(0, 19);
  const time = `${seconds}.${String(timeUs % 1_000_000n).padStart(6, '0')}Z`;
  return `<${PRIORITIES[level]}>1 ${time} web-1.example.org ${program} 42 - - ${text}`;
}

/** One connection with every message after its length (RFC 6587). */
async function send(port: number, messages: readonly string[]): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', reject).once('close', () => resolve());
    socket.end(messages.map((message) => `${Buffer.byteLength(message)} ${message}`).join(''));
  });
}

/**
 * `format-json` gives an object; `substr` takes `{"m":` and `}` away and leaves the JSON string. Two workers and batches: a
 * push has lines of several streams, and they arrive in any order. The window of the source (`log-iw-size`, shared by ten
 * connections) holds the lines of an outage: with less, flow control stops reading and `send` would wait.
 */
function configuration(port: number, socket: string, url: string): string {
  return `@version: 3.38
options { keep-hostname(yes); time-reopen(1); stats-freq(0); log-fifo-size(100000); };
source s_tcp { syslog(ip("127.0.0.1") port(${port}) transport("tcp") log-iw-size(100000)); };
source s_unix { unix-dgram("${socket}"); };
destination d_loptr {
  http(
    url("${url}/loki/api/v1/push")
    method("POST")
    headers("Content-Type: application/json")
    body-prefix('{"streams":[')
    body('{"stream":$(format-json job=syslog-ng host="$HOST" program="$PROGRAM" level="$LEVEL"),"values":[["\${S_UNIXTIME}\${S_USEC}000",$(substr $(format-json m="$MSG") 5 -1),$(format-json facility="$FACILITY" pid="$PID")]]}')
    delimiter(",")
    body-suffix("]}")
    batch-lines(100)
    batch-timeout(50)
    workers(2)
    retries(1000)
  );
};
log { source(s_tcp); source(s_unix); destination(d_loptr); flags(flow-control); };
`;
}
