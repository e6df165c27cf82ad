import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { onPath } from './lab/executables';
import { monitoringTools, monitoringToolsUnavailable } from './lab/monitoring-tools/tools';
import type { MonitoringTools } from './lab/monitoring-tools/tools';
import { runToEnd } from './lab/processes';
import { monitoringFile, readTemplate, readTerraform } from './testbed/monitoring';
import type { Template, TerraformBlock } from './testbed/monitoring';
import { describeWherePossible } from './testbed/where-possible';

const BUILT_MS = 30 * 60_000;
const FILE = monitoringFile('terraform', 'alarms.tf');
const TOPIC = 'arn:aws:sns:eu-central-1:123456789012:on-call';
const RUNBOOKS = 'https://wiki.example.com/keyturn';
const GIVEN = { environment: 'production', topic_arn: TOPIC, max_age_days: 97, runbooks: RUNBOOKS };

const names = z.array(z.string());
/**
 * The arguments of `aws_cloudwatch_metric_alarm` for one metric (Terraform Registry, provider hashicorp/aws 5, 'Argument Reference').
 * The provider itself comes only from Terraform's own registry, at several hundred megabytes.
 */
const ALARM_ARGUMENTS = z.strictObject({
  alarm_name: z.string().min(1).max(255),
  alarm_description: z.string().max(1_024).optional(),
  comparison_operator: z.enum([
    'GreaterThanOrEqualToThreshold',
    'GreaterThanThreshold',
    'LessThanThreshold',
    'LessThanOrEqualToThreshold',
  ]),
  evaluation_periods: z.int().min(1),
  datapoints_to_alarm: z.int().min(1).optional(),
  metric_name: z.string().min(1).max(255),
  namespace: z.string().min(1).max(255),
  dimensions: z.record(z.string(), z.string()).optional(),
  period: z.union([z.literal([10, 20, 30]), z.int().min(60).multipleOf(60)]),
  statistic: z.enum(['SampleCount', 'Average', 'Sum', 'Minimum', 'Maximum']).optional(),
  extended_statistic: z.string().optional(),
  threshold: z.number(),
  unit: z.string().optional(),
  treat_missing_data: z.enum(['missing', 'ignore', 'breaching', 'notBreaching']).optional(),
  actions_enabled: z.boolean().optional(),
  alarm_actions: names.max(5).optional(),
  ok_actions: names.max(5).optional(),
  insufficient_data_actions: names.max(5).optional(),
  tags: z.record(z.string(), z.string()).optional(),
});

const VARIABLE = /^variable (\w+)$/;
const ALARM = /^resource aws_cloudwatch_metric_alarm (\w+)$/;

/** What a name of Terraform is in CloudFormation: `max_age_days` is `MaxAgeDays`. */
const inCloudFormation = (name: string) => name.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The blocks whose key matches, by the name in it. */
function blocks(all: Record<string, TerraformBlock>, key: RegExp): Map<string, TerraformBlock> {
  return new Map(
    Object.entries(all).flatMap(([name, block]) => {
      const [, found] = key.exec(name) ?? [];
      return found === undefined ? [] : [[found, block]];
    }),
  );
}

describeWherePossible('Terraform', monitoringToolsUnavailable(), () => {
  let tools: MonitoringTools;
  let text: string;
  let formatted: string;
  let all: Record<string, TerraformBlock>;
  let sibling: Template;

  beforeAll(async () => {
    tools = await monitoringTools((line) => void process.stderr.write(`${line}\n`));
    text = await readFile(FILE, 'utf8');
    ({ formatted, blocks: all } = await readTerraform(tools, text, GIVEN));
    sibling = await readTemplate(monitoringFile('cloudformation', 'alarms.yaml'), {
      Environment: 'production',
      TopicArn: TOPIC,
      MaxAgeDays: 97,
      Runbooks: RUNBOOKS,
    });
  }, BUILT_MS);

  test('would format the file as it is', () => expect(formatted).toBe(text));

  const terraform = onPath('terraform') ?? onPath('tofu');
  const withTerraform = terraform === undefined ? test.skip : test;
  const why = terraform === undefined ? ' [skipped: neither terraform nor tofu is on PATH]' : '';
  withTerraform(`itself would too${why}`, async () => {
    expect(await runToEnd(terraform ?? '', ['fmt', '-check', '-diff', FILE], 60_000)).toMatchObject({
      succeeded: true,
    });
  });

  test('finds only blocks that it is to find, and knows every variable that they use', () => {
    const known = [/^terraform$/, VARIABLE, ALARM];
    expect(Object.keys(all).filter((name) => !known.some((key) => key.test(name)))).toEqual([]);
    expect(all['terraform']?.blocks['required_providers']?.arguments).toEqual({
      aws: { source: 'hashicorp/aws', version: '>= 5.0' },
    });
  });

  test('knows each argument of an alarm, and takes its value', () => {
    const alarms = [...blocks(all, ALARM).values()];
    expect(alarms).toHaveLength(2);
    for (const alarm of alarms) {
      expect(ALARM_ARGUMENTS.safeParse(alarm.arguments).error?.issues).toBeUndefined();
      expect(alarm.blocks).toEqual({});
    }
  });

  test('would refuse a variable that nobody declared, and the schema an argument that nobody knows', async () => {
    const asked = readTerraform(tools, text.replaceAll('var.environment', 'var.environs'), GIVEN);
    await expect(asked).rejects.toThrow('environs');
    const alarm = { ...[...blocks(all, ALARM).values()][0]?.arguments, statistics: 'Minimum' };
    expect(ALARM_ARGUMENTS.safeParse(alarm).error?.issues).toMatchObject([{ keys: ['statistics'] }]);
  });

  test('makes the alarms that CloudFormation makes, from the same settings with the same defaults', () => {
    const ofTerraform = Object.fromEntries(
      [...blocks(all, ALARM)].map(([name, alarm]) => [inCloudFormation(name), inItsWords(alarm.arguments)]),
    );
    const ofCloudFormation = Object.fromEntries(
      Object.entries(sibling.Resources).map(([name, { Properties }]) => [name, Properties]),
    );
    expect(ofTerraform).toEqual(ofCloudFormation);

    const types: Record<string, string> = { string: 'String', number: 'Number' };
    const settings = [...blocks(all, VARIABLE)].map(
      ([
        name,
        {
          arguments: { type, default: value, description },
        },
      ]) => [
        inCloudFormation(name),
        { Type: types[String(type)], ...(value !== undefined && { Default: value }), Description: description },
      ],
    );
    expect(sibling.Parameters).toMatchObject(Object.fromEntries(settings));
    expect(settings).toHaveLength(Object.keys(sibling.Parameters).length);
  });

  /** Arguments of an alarm as properties of CloudFormation's. */
  function inItsWords({ dimensions, ...simple }: Record<string, unknown>): Record<string, unknown> {
    const properties = Object.entries(simple).map(([name, value]) => [
      inCloudFormation(name).replace(/^Ok/, 'OK'),
      value,
    ]);
    return {
      ...Object.fromEntries(properties),
      Dimensions: Object.entries(dimensions ?? {}).map(([Name, Value]) => ({ Name, Value: Value as unknown })),
    };
  }
});
