import { CloudWatchClient, ListMetricsCommand } from '@aws-sdk/client-cloudwatch';
import { monitoringTools, monitoringToolsUnavailable } from './lab/monitoring-tools/tools';
import type { MonitoringTools } from './lab/monitoring-tools/tools';
import { checkAges } from './testbed/age-checks';
import { startDependent } from './testbed/dependent';
import { monitoringFile, readDashboard, readQueries, readRules, readTemplate } from './testbed/monitoring';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { describeWherePossible } from './testbed/where-possible';

const BUILT_MS = 30 * 60_000;
/** What Prometheus adds to what it scrapes. */
const OF_PROMETHEUS = ['job', 'instance'];

let bed: Testbed;
/** The labels of each metric that a worker exposes. */
const exposed = new Map<string, Set<string>>();

beforeAll(async () => {
  bed = await openTestbed();
  const dependent = await startDependent('shop', '1 second');
  bed.alsoStop(dependent);
  dependent.answer(503);
  await bed.declare({
    good: { type: 'app-secret' },
    bad: { type: 'app-secret', dependents: [dependent.declaration] },
  });
  const worker = await bed.startWorker({ KEYTURN_CLOUDWATCH_METRICS: 'true' });
  await failureOf(bed.rotate('bad'));
  await bed.rotate('good');
  await checkAges(bed);
  const { metricsAddress } = await worker.ready;
  const text = await (await fetch(`http://${metricsAddress}/metrics`)).text();
  for (const [, metric = '', labels = ''] of text.matchAll(/^(\w+)\{(.*)\} \S+$/gm)) {
    const known = exposed.get(metric) ?? new Set();
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) known.add(label);
    exposed.set(metric, known);
  }
  // What waits is sent at the end.
  await worker.stop();
});
afterAll(() => bed.close());

describeWherePossible('Prometheus and Grafana', monitoringToolsUnavailable(), () => {
  let tools: MonitoringTools;
  /** The metrics that the rules record, with their labels. */
  const recorded = new Map<string, Set<string>>();

  beforeAll(async () => {
    tools = await monitoringTools((line) => void process.stderr.write(`${line}\n`));
  }, BUILT_MS);

  /** What an expression asks for that nobody tells. */
  async function unknownIn(expression: string): Promise<string[]> {
    const [{ selectors = [], grouping = [], error } = {}] = await readQueries(tools, [expression]);
    if (error !== undefined) return [error];
    const labels = new Set(OF_PROMETHEUS);
    const unknown: string[] = [];
    for (const { metric, labels: compared } of selectors) {
      const known =
        recorded.get(metric) ?? exposed.get(metric) ?? (metric === 'up' ? new Set(OF_PROMETHEUS) : undefined);
      if (!known) {
        unknown.push(metric);
        continue;
      }
      for (const label of known) labels.add(label);
      unknown.push(...compared.filter((label) => !known.has(label) && !OF_PROMETHEUS.includes(label)));
    }
    return [...unknown, ...grouping.filter((label) => !labels.has(label))];
  }

  test('rules ask only for metrics and labels that a worker exposes or that they record themselves', async () => {
    for (const { rules } of (await readRules()).groups) {
      for (const rule of rules) {
        expect(await unknownIn(rule.expr)).toEqual([]);
        if (!('record' in rule)) continue;
        const [{ grouping = [] } = {}] = await readQueries(tools, [rule.expr]);
        recorded.set(rule.record, new Set(grouping));
      }
    }
    expect(recorded.size).toBeGreaterThan(0);
  });

  test('the dashboard does too, and so do its variables', async () => {
    const { panels, templating } = await readDashboard();
    for (const { targets } of panels) for (const { expr } of targets) expect(await unknownIn(expr)).toEqual([]);
    const variables = templating.list.filter(({ type }) => type === 'query');
    for (const { query } of variables) {
      const [, metric = '', label = ''] = /^label_values\((\w+), (\w+)\)$/.exec(query) ?? [];
      expect([...(exposed.get(metric) ?? [])]).toContain(label);
    }
    expect(variables.length).toBeGreaterThan(0);
  });

  test('a name that no worker tells, or a label that a metric has not, would be found', async () => {
    expect(await unknownIn('sum by (secrets) (keyturn_rotations_total{team="a"})')).toEqual(
      expect.arrayContaining(['keyturn_rotations_total', 'secrets']),
    );
    expect(await unknownIn('keyturn_rotations{team="a"}')).toEqual(['team']);
  });
});

test('the alarms of CloudWatch watch metrics that a worker sends, by dimensions that it gives them', async () => {
  const client = new CloudWatchClient({});
  const { Metrics = [] } = await client.send(
    new ListMetricsCommand({
      Namespace: 'SecretRotation',
      Dimensions: [{ Name: 'Environment', Value: bed.environment }],
    }),
  );
  client.destroy();
  const sent = Metrics.map(({ Namespace, MetricName, Dimensions = [] }) => ({ Namespace, MetricName, Dimensions }));
  const { Resources } = await readTemplate(monitoringFile('cloudformation', 'alarms.yaml'), {
    Environment: bed.environment,
  });
  const alarms = Object.values(Resources).map(({ Properties }) => Properties);
  expect(alarms.length).toBeGreaterThan(0);
  for (const { Namespace, MetricName, Dimensions } of alarms) {
    expect(sent).toContainEqual({ Namespace, MetricName, Dimensions });
  }
});
