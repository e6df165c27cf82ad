import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadCatalog } from '../src/catalog';
import { channelsFor, EVENT_SEVERITY, NOTIFICATION_EVENTS, runbookOf } from '../src/rotation/notifications';
import type { NotificationRoute } from '../src/rotation/notifications';
import { projectFile } from './lab/project';
import { shown, type Mistake } from './testbed/catalog-mistakes';

const LOG = 'log: {type: log}';
/** A catalog with these channels and routes. */
const told = (channels: string, routes = '[{channels: [log]}]') =>
  `environments: {dev: {secrets: {}}}\nnotifications:\n  channels: {${channels}}\n  routes: ${routes}\n`;
const at = (path: string, message: string) => ` notifications.${path}: ${message}`;

describe('a mistake in what is said of notifications is shown with its place and what to do:', () => {
  const mistakes: Mistake[] = [
    ['no route', told(LOG, '[]').replace('routes', '▸routes'), at('routes', 'must name a route')],
    [
      'a channel that is not declared',
      told(LOG, '[{channels: [▸lag]}]'),
      at('routes[0].channels[0]', '"lag" is no channel of this catalog; did you mean log?'),
    ],
    [
      'an environment that is not declared',
      told(LOG, '[{channels: [log], environments: [▸prod]}]'),
      at('routes[0].environments[0]', '"prod" is no environment of this catalog'),
    ],
    [
      'an unknown severity',
      told(LOG, '[{channels: [log], severity: ▸error}]'),
      at('routes[0].severity', '"error" is none of info, warning, critical'),
    ],
    [
      'an unknown type',
      told(`${LOG}, a: {type: ▸teams}`),
      at('channels.a.type', '"teams" is none of sns, slack, webhook, email, pagerduty, log'),
    ],
    [
      'an unknown key of a channel',
      told(`${LOG}, a: {type: slack, ▸field: x, url: {env: KEYTURN_NOTIFY_A}}`),
      at('channels.a.field', 'is no key of a channel of type slack; its keys are type, url'),
    ],
    [
      'an unknown key of a route',
      told(LOG, '[{channels: [log], ▸event: [overdue]}]'),
      at('routes[0].event', 'is no key of a route; did you mean events?'),
    ],
    [
      'a credential in clear',
      told(`${LOG}, a: {type: slack, url: ▸"https://hooks.slack.com/services/T0/B0/x"}`),
      at('channels.a.url', 'must be a mapping, not text'),
    ],
    [
      'a credential in an address',
      told(`${LOG}, a: {type: webhook, url: ▸"https://u:p@example.com", signingKey: {env: KEYTURN_NOTIFY_A}}`),
      at('channels.a.url', 'must not hold a user name or password: the catalog holds no secrets'),
    ],
    [
      'another variable of the worker',
      told(`${LOG}, a: {type: slack, url: {env: ▸TEMPORAL_API_KEY}}`),
      at(
        'channels.a.url.env',
        'is not the name of an environment variable that begins with KEYTURN_NOTIFY_, in capital letters',
      ),
    ],
    [
      'two places for a credential',
      told(`${LOG}, a: {type: slack, ▸url: {env: KEYTURN_NOTIFY_A, secret: x}}`),
      at('channels.a.url', 'has env and secret: keep one of them'),
    ],
    [
      'no place for a credential',
      told(`${LOG}, a: {type: slack, ▸url: {}}`),
      at('channels.a.url', 'must say env or secret: where the credential is'),
    ],
    [
      'a field of a variable',
      told(`${LOG}, a: {type: slack, ▸url: {env: KEYTURN_NOTIFY_A, field: x}}`),
      at('channels.a.url', 'has a field, which only a secret has'),
    ],
    [
      'no topic',
      told(`${LOG}, a: {type: sns, topicArn: ▸rotations}`),
      at(
        'channels.a.topicArn',
        'is not the ARN of an SNS topic, such as arn:aws:sns:eu-central-1:123456789012:rotations',
      ),
    ],
    [
      'a sender that is two',
      told(`${LOG}, a: {type: email, host: h, from: ▸"a@b.c, d@e.f", to: [a@b.c]}`),
      at('channels.a.from', 'is not a mail address, such as oncall@example.com'),
    ],
    [
      'mail without TLS to another machine',
      told(`${LOG}, a: {type: email, host: mail.example.com, tls: ▸none, from: a@b.c, to: [a@b.c]}`),
      at('channels.a.tls', 'is none, which is for a server on the same machine: write starttls or implicit'),
    ],
    [
      'a login without a password',
      told(`${LOG}, a: {type: email, host: h, username: ▸me, from: a@b.c, to: [a@b.c]}`),
      at('channels.a.username', 'has no password beside it'),
    ],
    [
      'PagerDuty told of nothing that it is for',
      told(
        'p: {type: pagerduty, routingKey: {env: KEYTURN_NOTIFY_A}}',
        '[{channels: [▸p], events: [rotation-started]}]',
      ),
      at(
        'routes[0].channels[0]',
        'is of type pagerduty, which is told of warnings and critical events, and of nothing that this route is about',
      ),
    ],
  ];
  mistakes.forEach(shown);
});

/** What becomes of routes to a log and to PagerDuty, which are called log and p. */
async function routesOf(routes: string): Promise<NotificationRoute[]> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-catalog-'));
  const file = join(folder, 'keyturn.yaml');
  await writeFile(file, told(`${LOG}, p: {type: pagerduty, routingKey: {env: KEYTURN_NOTIFY_A}}`, routes));
  try {
    return (await loadCatalog(file)).notifications('dev').routes;
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('PagerDuty is told of trouble and of its end, whatever the route says of less', async () => {
  const routes = await routesOf('[{channels: [log, p]}]');
  expect(channelsFor(routes, 'rotation-started', 'info')).toEqual(['log']);
  expect(channelsFor(routes, 'rotated', 'info')).toEqual(['log', 'p']);
  expect(channelsFor(routes, 'rolled-back', 'warning')).toEqual(['log', 'p']);
});

test('only PagerDuty is told that nothing is overdue, which is so on most days', async () => {
  const routes = await routesOf('[{channels: [log, p]}, {channels: [log], events: [overdue]}]');
  expect(channelsFor(routes, 'overdue', 'warning')).toEqual(['log', 'p']);
  expect(channelsFor(routes, 'overdue', 'info')).toEqual(['p']);
});

test.each(['severity: critical', 'events: [leak-reported]'])(
  'PagerDuty is told of what its route is for (%s) and of ends, and not of a report with failures in it',
  async (what) => {
    const routes = await routesOf(`[{channels: [p], ${what}}]`);
    expect(channelsFor(routes, 'leak-reported', 'critical')).toEqual(['p']);
    expect(channelsFor(routes, 'rotated', 'info')).toEqual(['p']);
    expect(channelsFor(routes, 'fleet-report', 'info')).toEqual(['p']);
    expect(channelsFor(routes, 'fleet-report', 'warning')).toEqual([]);
    expect(channelsFor(routes, 'rolled-back', 'warning')).toEqual([]);
  },
);

test.each(NOTIFICATION_EVENTS)('there is a runbook for %s', (event) => {
  expect(readFileSync(projectFile(runbookOf(event)), 'utf8')).toContain(
    `Event \`${event}\`, severity ${EVENT_SEVERITY[event]}`,
  );
});
