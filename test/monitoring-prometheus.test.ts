import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { monitoringTools, monitoringToolsUnavailable } from './lab/monitoring-tools/tools';
import type { MonitoringTools } from './lab/monitoring-tools/tools';
import { runToEnd } from './lab/processes';
import { monitoringFile, readDashboard, readQueries, readRules } from './testbed/monitoring';
import type { RuleFile } from './testbed/monitoring';
import { describeWherePossible } from './testbed/where-possible';

/** With what has to be built on a machine that has no promtool yet. */
const BUILT_MS = 30 * 60_000;
const TESTED_WITHIN_MS = 5 * 60_000;
const ALL_TESTED_WITHIN_MS = 30 * 60_000;
const TESTS = ['keyturn.rules.test.yaml', 'keyturn.days.test.yaml'];

describeWherePossible('promtool', monitoringToolsUnavailable(), () => {
  let tools: MonitoringTools;
  let folder: string;

  beforeAll(async () => {
    tools = await monitoringTools((line) => void process.stderr.write(`${line}\n`));
  }, BUILT_MS);
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keyturn-rules-'));
    await cp(monitoringFile('prometheus'), folder, { recursive: true });
  });
  afterEach(() => rm(folder, { recursive: true }));

  const promtool = (...argv: string[]) => runToEnd(tools.promtool, argv, TESTED_WITHIN_MS, { cwd: folder });

  /** Whether the tests of the rules pass, once the rules are changed. */
  async function passWith(change: (rules: RuleFile) => void): Promise<boolean> {
    const rules = await readRules();
    change(rules);
    await writeFile(join(folder, 'keyturn.rules.yaml'), stringify(rules));
    const checked = await promtool('check', 'rules', 'keyturn.rules.yaml');
    if (!checked.succeeded) throw new Error(checked.output);
    return (await promtool('test', 'rules', ...TESTS)).succeeded;
  }

  test('takes the rules, and finds nothing to mend in them', async () => {
    expect(await promtool('check', 'rules', '--lint=all', '--lint-fatal', 'keyturn.rules.yaml')).toMatchObject({
      succeeded: true,
    });
  });

  test(
    'finds that each alert fires when it must, and stays silent when it must',
    async () => {
      const { succeeded, output } = await promtool('test', 'rules', ...TESTS);
      expect({ succeeded, output }).toMatchObject({ succeeded: true });
    },
    TESTED_WITHIN_MS,
  );

  test(
    'would find each alert that never fires, that always fires, or that fires at once',
    async () => {
      const { groups } = await readRules();
      const alerts = groups.flatMap(({ rules }) => rules.flatMap((rule) => ('alert' in rule ? [rule.alert] : [])));
      expect(alerts.length).toBeGreaterThanOrEqual(3);
      expect(await passWith(() => undefined)).toBe(true);
      const changed = (alert: string, change: (rule: { expr: string; for?: string }) => void) =>
        passWith((file) =>
          file.groups.forEach(({ rules }) =>
            rules.filter((rule) => 'alert' in rule && rule.alert === alert).forEach(change),
          ),
        );
      for (const alert of alerts) {
        expect([
          alert,
          'never',
          await changed(alert, (rule) => (rule.expr = `(${rule.expr}) and vector(1) > 2`)),
        ]).toEqual([alert, 'never', false]);
        expect([alert, 'always', await changed(alert, (rule) => (rule.expr = `(${rule.expr}) or vector(1)`))]).toEqual([
          alert,
          'always',
          false,
        ]);
      }
      const patient = groups.flatMap(({ rules }) =>
        rules.flatMap((rule) => ('for' in rule && 'alert' in rule ? [rule.alert] : [])),
      );
      for (const alert of patient) {
        expect([alert, 'at once', await changed(alert, (rule) => delete rule.for)]).toEqual([alert, 'at once', false]);
      }
    },
    ALL_TESTED_WITHIN_MS,
  );

  test("takes every query of Grafana's dashboard, and would name one that is wrong", async () => {
    const { panels } = await readDashboard();
    const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    expect(expressions.length).toBeGreaterThanOrEqual(panels.length);
    for (const { error } of await readQueries(tools, expressions)) expect(error).toBeUndefined();
    const [wrong] = await readQueries(tools, ['sum by (outcome) increase(keyturn_rotations[1h])']);
    expect(wrong?.error).toContain('parse error');
  });
});

test("no panel of Grafana's dashboard shows a point of time as a length of it, or takes the increase of a counter that begins with 1", async () => {
  const { panels } = await readDashboard();
  for (const { title, targets, fieldConfig } of panels) {
    for (const { expr } of targets) {
      expect([title, expr]).not.toEqual([title, expect.stringMatching(/\b(increase|rate|delta)\(/)]);
      const isLength = fieldConfig?.defaults.unit === 's';
      if (isLength && /:time\b/.test(expr))
        expect([title, expr]).toEqual([title, expect.stringMatching(/^time\(\) - /)]);
    }
  }
});

test("Grafana's dashboard gives each panel a place and each target a name of its own", async () => {
  const { uid, panels, templating } = await readDashboard();
  expect(uid).toBe('keyturn');
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  for (const { targets } of panels) expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
  const squares = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, n) => `${x + (n % w)}/${y + Math.floor(n / w)}`),
  );
  expect(new Set(squares).size).toBe(squares.length);
  for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  const known = templating.list.map(({ name }) => name);
  const used = [...JSON.stringify(panels).matchAll(/\$\{?(\w+)/g)].map(([, name = '']) => name);
  for (const name of used) expect(known).toContain(name);
});
