import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { HttpError } from '../http/http-error.ts';
import type { HttpRequest } from '../http/types.ts';
import { rulerRoutes } from './http.ts';

const directory = await mkdtemp(join(tmpdir(), 'loptr-rules-'));
after(() => rm(directory, { recursive: true }));
await mkdir(join(directory, 'empty', 'subfolder'), { recursive: true });
await mkdir(join(directory, 'full'));
await writeFile(join(directory, 'full', 'rules.yaml'), 'groups: []\n');

interface Asked {
  readonly query?: string;
  readonly tenant?: string;
  readonly params?: Readonly<Record<string, string>>;
  readonly directory?: string;
}

async function ask(path: string, asked: Asked = {}): Promise<[status: number, text: string]> {
  const { query = '', tenant = 'T', params = {}, directory: rulesDirectory = null } = asked;
  const route = rulerRoutes({ rulesDirectory }).find((candidate) => candidate.path === path)!;
  const request: Partial<HttpRequest> = {
    params,
    query: new URLSearchParams(query),
    header: () => tenant,
    tenant: () => {
      if (/^\w+$/.test(tenant)) return tenant;
      throw new HttpError(tenant === '' ? 401 : 400, 'no tenant');
    },
  };
  try {
    const { status, body } = await route.handler(request as HttpRequest);
    return [status, String(body)];
  } catch (error: unknown) {
    assert.ok(error instanceof HttpError, String(error));
    return [error.status, error.message];
  }
}

for (const base of ['/loki/api/v1/rules', '/api/prom/rules']) {
  describe(`GET ${base}`, () => {
    test('finds no rules', async () => {
      assert.deepEqual(await ask(base), [404, 'no rule groups found']);
      assert.deepEqual(await ask(`${base}/{namespace}`, { params: { namespace: 'n' } }), [404, 'no rule groups found']);
      const params = { namespace: 'n', group: 'g' };
      assert.deepEqual(await ask(`${base}/{namespace}/{group}`, { params }), [404, 'group does not exist']);
    });

    test('looks for files where a directory is configured, and does not leave them out in silence', async () => {
      const missing = join(directory, 'T');
      const no = 'no such file or directory';
      assert.deepEqual(await ask(base, { directory }), [
        400,
        `unable to read rule dir ${missing}: open ${missing}: ${no}`,
      ]);
      assert.deepEqual(await ask(base, { directory, tenant: 'empty' }), [404, 'no rule groups found']);
      const full = join(directory, 'full');
      assert.deepEqual(await ask(base, { directory, tenant: 'full' }), [
        400,
        `rules in files are not supported: ${full} has 1`,
      ]);
      const one = async (namespace: string) =>
        ask(`${base}/{namespace}`, { directory, tenant: 'full', params: { namespace } });
      const [file, other] = [join(full, 'rules.yaml'), join(full, 'other')];
      assert.deepEqual(await one('rules.yaml'), [400, `rules in files are not supported: ${file}`]);
      assert.deepEqual(await one('other'), [400, `error parsing ${other}: open ${other}: ${no}`]);
      const params = { namespace: 'n', group: 'g' };
      assert.deepEqual(await ask(`${base}/{namespace}/{group}`, { directory, params }), [
        400,
        'GetRuleGroup unsupported in rule local store',
      ]);
    });

    test('wants one tenant', async () => {
      const text = '{"status":"error","data":null,"errorType":"server_error","error":"no org id"}';
      assert.deepEqual(await ask(base, { tenant: 'a|b' }), [500, text]);
      assert.deepEqual(await ask(base, { tenant: '' }), [401, 'no tenant']);
    });
  });
}

describe('active rules and alerts', () => {
  const error = (type: string, text: string): string =>
    JSON.stringify({ status: 'error', data: null, errorType: type, error: text });

  test('are none', async () => {
    const rules = '{"status":"success","data":{"groups":[]},"errorType":"","error":""}';
    for (const query of ['', 'type=alert', 'type=Record', 'rule_name=x&file=y']) {
      assert.deepEqual(await ask('/prometheus/api/v1/rules', { query }), [200, rules]);
    }
    const alerts = '{"status":"success","data":{"alerts":[]},"errorType":"","error":""}';
    assert.deepEqual(await ask('/prometheus/api/v1/alerts'), [200, alerts]);
  });

  test('are of a known type', async () => {
    const answer = await ask('/prometheus/api/v1/rules', { query: 'type=zz' });
    assert.deepEqual(answer, [400, error('bad_data', 'not supported value "zz"')]);
  });

  test('belong to one tenant', async () => {
    for (const path of ['/prometheus/api/v1/rules', '/prometheus/api/v1/alerts']) {
      assert.deepEqual(await ask(path, { tenant: 'a|b' }), [400, error('bad_data', 'too many org ids found')]);
      assert.deepEqual(await ask(path, { tenant: 'a/b' }), [500, error('server_error', 'no valid org id found')]);
      assert.deepEqual(await ask(path, { tenant: '' }), [401, 'no tenant']);
    }
  });
});
