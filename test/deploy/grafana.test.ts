import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseQuery } from '../../logql/syntax/index.ts';
import { at, filesBelowDeploy, type JsonObject, list, readText, readYamlFile } from './deploy-files.ts';

const source = list(readYamlFile('deploy/grafana/datasource.yaml')['datasources'])[0];
const dashboards = filesBelowDeploy('grafana/dashboards/*.json').map(
  (path) => JSON.parse(readText(path)) as JsonObject,
);
/** What Grafana puts in the place of its variables. */
const VALUES: Readonly<Record<string, string>> = { $__auto: '1m', $__range: '1h', $service: '.+', $search: 'text' };

describe('what Grafana is given', () => {
  it('dashboards ask the data source that is provisioned beside them', () => {
    assert.ok(dashboards.length > 0);
    for (const dashboard of dashboards) {
      const asking = [...list(dashboard['panels']), ...list(at(dashboard, 'templating', 'list'))].flatMap((part) => [
        part,
        ...list(at(part, 'targets')),
      ]);
      for (const part of asking) {
        const uid = at(part, 'datasource', 'uid');
        if (uid !== undefined) assert.equal(uid, at(source, 'uid'));
      }
    }
  });

  it('every query of a dashboard is LogQL, and uses no variable that nobody sets', () => {
    for (const dashboard of dashboards) {
      const variables = list(at(dashboard, 'templating', 'list')).map((variable) => `$${at(variable, 'name')}`);
      const targets = list(dashboard['panels']).flatMap((panel) => list(at(panel, 'targets')));
      assert.ok(targets.length >= 4);
      for (const target of targets) {
        const expression = String(at(target, 'expr')).replace(/\$\w+/g, (name) => {
          assert.ok(name.startsWith('$__') || variables.includes(name), name);
          assert.ok(VALUES[name], name);
          return VALUES[name]!;
        });
        assert.ok(parseQuery(expression), expression);
      }
    }
  });

  it('panels do not lie upon each other', () => {
    for (const dashboard of dashboards) {
      const cells = new Set<string>();
      for (const panel of list(dashboard['panels'])) {
        const { x, y, w, h } = at(panel, 'gridPos') as Record<'x' | 'y' | 'w' | 'h', number>;
        assert.ok(x + w <= 24);
        for (let row = y; row < y + h; row++) {
          for (let column = x; column < x + w; column++) {
            assert.ok(!cells.has(`${column} ${row}`), String(at(panel, 'title')));
            cells.add(`${column} ${row}`);
          }
        }
      }
    }
  });
});
