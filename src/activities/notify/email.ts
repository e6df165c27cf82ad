import { createTransport } from 'nodemailer';
import type { EmailChannel } from '../../rotation/notifications';
import { outsideCall } from '../boundary/activity-scope';
import type { CredentialStores } from './credentials';
import { readCredential } from './credentials';
import type { Notification, Notifier } from './notifier';
import { headlineOf, textOf } from './notifier';
import { never, notNow } from './refusals';

const TIMEOUTS_MS = { connectionTimeout: 5_000, greetingTimeout: 5_000, dnsTimeout: 5_000, socketTimeout: 10_000 };

/** Sends one mail to all recipients. Its Message-ID stays the same over repetitions, by which many mail servers drop the second. */
export function createEmailNotifier(channel: string, declared: EmailChannel, stores: CredentialStores): Notifier {
  const { host, port, from, to } = declared;
  return {
    async send(notification) {
      const transport = await createMailTransport(channel, declared, stores);
      try {
        await outsideCall('smtp', 'send', () => transport.sendMail(mailOf(notification, from, to)));
      } catch (error) {
        throw toFailure(error, channel, `${host}:${port}`);
      } finally {
        transport.close();
      }
    },
  };
}

/** The way to a channel's server, with its login; nothing is connected yet. @throws what {@link readCredential} throws. */
export async function createMailTransport(
  channel: string,
  { host, port, tls, login }: EmailChannel,
  stores: CredentialStores,
) {
  const auth = login && { user: login.username, pass: await readCredential(login.password, channel, stores) };
  return createTransport({
    host,
    port,
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    auth,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...TIMEOUTS_MS,
  });
}

function mailOf(notification: Notification, from: string, to: string[]) {
  const { id, event, severity } = notification;
  return {
    from,
    to,
    subject: `[Keyturn] ${headlineOf(notification)}`,
    text: textOf(notification),
    messageId: `<${id}@keyturn>`,
    headers: {
      // Asks out-of-office replies to stay away (RFC 3834).
      'Auto-Submitted': 'auto-generated',
      'Keyturn-Event': event,
      'Keyturn-Severity': severity,
    },
  };
}

/** The server's text is not passed on: it may quote what it was told. */
function toFailure(error: unknown, channel: string, server: string): Error {
  const { code, responseCode, name } = error as { code?: string; responseCode?: number; name?: string };
  if (name === 'CancelledFailure') return error as Error;
  // 5yz is a permanent answer (RFC 5321 section 4.2.1).
  if (responseCode !== undefined && responseCode >= 500) {
    return never(
      channel,
      `${server} answered ${responseCode}${code === undefined ? '' : ` (${code})`}`,
      'Check its login, its sender and its recipients in the catalog.',
    );
  }
  return notNow(
    channel,
    `${server} did not take the mail (${[code, responseCode].filter(Boolean).join(' ') || 'no reason given'})`,
  );
}
