import { EVENT_SEVERITY, type NotificationEvent } from '../rotation/notifications';
import { quoted, type Report } from './problems';
import type { CatalogData } from './schema';
import { didYouMean } from './similar-names';

/** Loopback needs no TLS; a host name is not looked up here. */
const SAME_MACHINE = /^(localhost|127(\.\d+){3}|::1)$/;

/** Finds what is wrong between channels, routes and environments that are each right. */
export function checkNotifications({ notifications, environments }: CatalogData, report: Report): void {
  if (!notifications) return;
  const { channels, routes } = notifications;
  for (const [name, channel] of Object.entries(channels)) {
    if (channel.type !== 'email') continue;
    const { host, tls, username, password } = channel;
    const at = (key: string) => ['channels', name, key];
    if (tls === 'none' && !SAME_MACHINE.test(host)) {
      report(at('tls'), 'is none, which is for a server on the same machine: write starttls or implicit');
    }
    if (username !== undefined && password === undefined) report(at('username'), 'has no password beside it');
    if (password !== undefined && username === undefined) report(at('password'), 'has no username beside it');
  }
  for (const [index, route] of routes.entries()) {
    const unknown = (key: string, place: number, what: string, name: string, known: string[]) =>
      report(['routes', index, key, place], `${quoted(name)} is no ${what} of this catalog${didYouMean(name, known)}`);
    for (const [place, name] of route.channels.entries()) {
      if (!Object.hasOwn(channels, name)) unknown('channels', place, 'channel', name, Object.keys(channels));
      else if (channels[name]?.type === 'pagerduty' && route.events?.every(isOnlyInfo)) {
        report(
          ['routes', index, 'channels', place],
          'is of type pagerduty, which is told of warnings and critical events, and of nothing that this route is about',
        );
      }
    }
    for (const [place, name] of (route.environments ?? []).entries()) {
      if (!Object.hasOwn(environments, name)) {
        unknown('environments', place, 'environment', name, Object.keys(environments));
      }
    }
  }
}

/** A fleet report is a warning when there are failures in it. */
function isOnlyInfo(event: NotificationEvent): boolean {
  return EVENT_SEVERITY[event] === 'info' && event !== 'fleet-report';
}
