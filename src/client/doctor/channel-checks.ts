import { GetTopicAttributesCommand } from '@aws-sdk/client-sns';
import type { CredentialStores } from '../../activities/notify/credentials';
import { readCredential } from '../../activities/notify/credentials';
import { createMailTransport } from '../../activities/notify/email';
import type { SnsClients } from '../../activities/notify/sns';
import type {
  CredentialSource,
  EmailChannel,
  NotificationChannel,
  NotificationSettings,
} from '../../rotation/notifications';
import type { Check } from './check';
import { check, failed, ok, reasonOf, skipped } from './check';

const TIMEOUT_MS = 5_000;
const LATER = 'Rotations go on meanwhile; what people are not told is a line in the log of the worker.';

export interface ChannelAccess {
  stores: CredentialStores;
  sns: SnsClients;
}

/** Whether each channel has its credential, and is there, as far as that shows without telling anybody anything. */
export async function checkChannels(access: ChannelAccess, { channels }: NotificationSettings): Promise<Check[]> {
  return Promise.all(Object.entries(channels).map(([name, channel]) => checkChannel(access, name, channel)));
}

async function checkChannel(access: ChannelAccess, channel: string, declared: NotificationChannel): Promise<Check> {
  const name = `channel ${channel}`;
  const source = credentialOf(declared);
  if (source?.kind === 'env' && !access.stores.env[source.name]?.trim()) {
    return skipped(
      name,
      `${source.name} is not set here; the worker needs it`,
      'Run keyturn doctor with the environment of the worker.',
    );
  }
  return check(
    name,
    async () => {
      const credential = source && (await readCredential(source, channel, access.stores));
      return lookAt(access, name, channel, declared, credential);
    },
    LATER,
  );
}

function credentialOf(declared: NotificationChannel): CredentialSource | undefined {
  switch (declared.type) {
    case 'slack':
      return declared.url;
    case 'webhook':
      return declared.signingKey;
    case 'email':
      return declared.login?.password;
    case 'pagerduty':
      return declared.routingKey;
    case 'sns':
    case 'log':
      return undefined;
  }
}

async function lookAt(
  { stores, sns }: ChannelAccess,
  name: string,
  channel: string,
  declared: NotificationChannel,
  credential = '',
): Promise<Check> {
  switch (declared.type) {
    case 'sns':
      return lookAtTopic(sns, name, declared.topicArn);
    case 'slack':
      // The address is the credential, and stays unsaid.
      return lookAtAddress(name, credential, 'the service');
    case 'webhook':
    case 'pagerduty':
      return lookAtAddress(name, declared.url, new URL(declared.url).origin);
    case 'email':
      return lookAtMailServer(stores, name, channel, declared);
    case 'log':
      return ok(name, 'the log of the worker');
  }
}

async function lookAtTopic(sns: SnsClients, name: string, TopicArn: string): Promise<Check> {
  try {
    await sns.in(TopicArn.split(':')[3] ?? '').send(new GetTopicAttributesCommand({ TopicArn }));
    return ok(name, `${TopicArn} exists; whether the worker may sns:Publish to it was not tried`);
  } catch (error) {
    // Telling people needs sns:Publish alone.
    if (error instanceof Error && /AuthorizationError|AccessDenied/.test(error.name)) {
      return skipped(name, `${TopicArn} could not be looked at, which needs sns:GetTopicAttributes`);
    }
    const why = error instanceof Error ? error.name : reasonOf(error);
    return failed(
      name,
      `SNS has no good answer about ${TopicArn} (${why})`,
      `Create the topic, or correct it. ${LATER}`,
    );
  }
}

/** Asks the host for nothing: any answer says that it is there, and its certificate is good. */
async function lookAtAddress(name: string, url: string, saidAs: string): Promise<Check> {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    return failed(name, 'what the catalog names as its url is not an address', 'Store the whole address there.');
  }
  try {
    const response = await fetch(new URL(url).origin, {
      method: 'HEAD',
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await response.body?.cancel();
    return ok(name, `${saidAs} answers; its credential is there, and was not tried`);
  } catch (error) {
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    const { code, name: kind } = cause as { code?: string; name?: string };
    const found = `${saidAs} does not answer (${code ?? kind ?? 'no reason given'})`;
    return failed(name, found, `Check its address and the network between here and there. ${LATER}`);
  }
}

async function lookAtMailServer(
  stores: CredentialStores,
  name: string,
  channel: string,
  declared: EmailChannel,
): Promise<Check> {
  const server = `${declared.host}:${declared.port}`;
  const transport = await createMailTransport(channel, declared, stores);
  try {
    await transport.verify();
    return ok(name, `${server} ${declared.login ? 'takes its login' : 'answers'}; no mail was sent`);
  } catch (error) {
    // The server's text is not passed on: it may quote what it was told.
    const { code, responseCode } = error as { code?: string; responseCode?: number };
    const why = [code, responseCode].filter(Boolean).join(' ') || 'no reason given';
    return failed(name, `${server} cannot be used (${why})`, `Check its address, tls and login. ${LATER}`);
  } finally {
    transport.close();
  }
}
