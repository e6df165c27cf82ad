import type {
  NotificationChannel,
  NotificationEvent,
  NotificationRoute,
  NotificationSettings,
  Severity,
} from '../rotation/notifications';
import { RUNBOOKS, SEVERITIES } from '../rotation/notifications';
import type { NotificationsData } from './schema/notifications';

const SUBMISSION_PORT = { starttls: 587, none: 587, implicit: 465 } as const;

/** What resolves an incident; see {@link routesToPagerDuty}. */
const RESOLVING: NotificationEvent[] = ['rotated', 'fleet-report', 'overdue'];

/** Who is told of what in one environment. */
export function notificationsOf(data: NotificationsData | undefined, environment: string): NotificationSettings {
  if (!data) return { channels: {}, routes: [], runbooks: RUNBOOKS };
  const channels = Object.fromEntries(
    Object.entries(data.channels).map(([name, channel]) => [name, channelOf(channel)]),
  );
  const isIncident = (name: string) => channels[name]?.type === 'pagerduty';
  const routes = data.routes
    .filter(({ environments }) => environments === undefined || environments.includes(environment))
    .flatMap(({ channels: names, events, severity }): NotificationRoute[] => {
      const what = { ...(events && { events }), ...(severity && { severity }) };
      const others = names.filter((name) => !isIncident(name));
      return [
        ...(others.length > 0 ? [{ channels: others, ...what }] : []),
        ...routesToPagerDuty(names.filter(isIncident), events, severity),
      ];
    });
  return { channels, routes, runbooks: data.runbooks?.replace(/\/+$/, '') ?? RUNBOOKS };
}

/** PagerDuty wakes people: only for what is a warning at least. Who is told of trouble is told of its end as well. */
function routesToPagerDuty(
  channels: string[],
  events: NotificationEvent[] | undefined,
  severity: Severity = 'warning',
): NotificationRoute[] {
  if (channels.length === 0) return [];
  const least = SEVERITIES.indexOf(severity) > SEVERITIES.indexOf('warning') ? severity : 'warning';
  return [
    { channels, ...(events && { events }), severity: least },
    { channels, events: RESOLVING, onlyEnds: true },
  ];
}

function channelOf(written: NotificationsData['channels'][string]): NotificationChannel {
  if (written.type !== 'email') return written;
  const { username, password, port, ...others } = written;
  return {
    ...others,
    port: port ?? SUBMISSION_PORT[written.tls],
    ...(username !== undefined && password !== undefined && { login: { username, password } }),
  };
}
