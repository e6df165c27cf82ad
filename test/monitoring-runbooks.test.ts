import { existsSync } from 'node:fs';
import { projectFile } from './lab/project';
import { monitoringFile, readRules, readTemplate } from './testbed/monitoring';

const RUNBOOKS = 'https://wiki.example.com/keyturn';
const isThere = (runbook: string) => existsSync(projectFile('docs', 'runbooks', runbook));

test.each([
  ['alarms', monitoringFile('cloudformation', 'alarms.yaml')],
  ['events', projectFile('deploy', 'aws', 'events.yaml')],
])('each alarm of the template %s names a runbook that is there, at the address that is given', async (_name, path) => {
  const { Resources } = await readTemplate(path, { Runbooks: RUNBOOKS });
  const alarms = Object.values(Resources).filter(({ Type }) => Type === 'AWS::CloudWatch::Alarm');
  expect(alarms).toHaveLength(2);
  for (const { Properties } of alarms) {
    const said = String(Properties['AlarmDescription']);
    const [, runbook = `none in '${said}'`] = /https:\/\/wiki\.example\.com\/keyturn\/([\w-]+\.md)$/.exec(said) ?? [];
    expect([runbook, isThere(runbook)]).toEqual([runbook, true]);
  }
});

test('each alert of Prometheus names a runbook that is there, at an address that one command changes', async () => {
  const alerts = (await readRules()).groups.flatMap(({ rules }) => rules.filter((rule) => 'alert' in rule));
  expect(alerts.length).toBeGreaterThanOrEqual(4);
  for (const { annotations } of alerts) {
    const [, runbook = 'none'] = /^docs\/runbooks\/([\w-]+\.md)$/.exec(annotations['runbook_url'] ?? '') ?? [];
    expect([runbook, isThere(runbook)]).toEqual([runbook, true]);
  }
});
