import { ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { setTimeout as delay } from 'node:timers/promises';
import { MOTO_VERSION, motoStarter } from './moto';
import { PartUnavailable, reportFor, secondsSince, type Report } from './part';
import { freePort, LOOPBACK } from './ports';
import { lastLines, type RunningProcess } from './processes';

export interface AwsCredentials {
  accessKeyId: string;
  secretAccessKey: string;
}

export interface Aws {
  endpoint: string;
  region: string;
  credentials: AwsCredentials;
  stop(): Promise<void>;
  /** Ends it with SIGKILL. Everything it held is lost; for an outage that is survived, put a fault proxy in front. */
  kill(): Promise<void>;
  /** Starts it again after {@link kill}, empty, on the same port. */
  restart(): Promise<void>;
}

// The SDK's advice to use a newer Node is no part of the progress that the lab reports.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

const DEFAULT_REGION = 'us-east-1';
const TEST_CREDENTIALS: AwsCredentials = { accessKeyId: 'testing', secretAccessKey: 'testing' };
const READY_WITHIN_MS = 60_000;
const ATTEMPTS = 3;

/**
 * An AWS: that of AWS_ENDPOINT_URL, else moto on a free loopback port.
 *
 * @throws {PartUnavailable}
 */
export async function startAws(report: Report): Promise<Aws> {
  const say = reportFor('aws', report);
  const endpoint = process.env.AWS_ENDPOINT_URL;
  return endpoint ? useAws(endpoint, say) : startMoto(say);
}

/** A client of that AWS, whatever the surrounding environment says. */
export function secretsManagerOf(aws: Pick<Aws, 'endpoint' | 'region' | 'credentials'>): SecretsManagerClient {
  const client = new SecretsManagerClient({
    endpoint: aws.endpoint,
    region: aws.region,
    credentials: aws.credentials,
    maxAttempts: 1,
  });
  client.middlewareStack.add(
    (next) => async (request) => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await next(request);
        } catch (error) {
          if (attempt === MOTO_ATTEMPTS || !(error instanceof SyntaxError)) throw error;
        }
      }
    },
    { step: 'initialize', name: 'againAfterAPageOfMoto' },
  );
  return client;
}

/** When much happens at once, moto may answer with a page that says that it stumbled, which is not JSON. */
const MOTO_ATTEMPTS = 5;

async function useAws(endpoint: string, report: Report): Promise<Aws> {
  const command = 'unset AWS_ENDPOINT_URL, so that the lab starts a moto of its own';
  if (URL.canParse(endpoint) && /\.amazonaws\.com(\.cn)?$/.test(new URL(endpoint).hostname)) {
    throw new PartUnavailable(
      'AWS',
      `AWS_ENDPOINT_URL is ${endpoint}, a real account, where the lab does not write its sample secrets`,
      command,
    );
  }
  const { AWS_REGION, AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = process.env;
  const region = AWS_REGION || AWS_DEFAULT_REGION || DEFAULT_REGION;
  const credentials =
    AWS_ACCESS_KEY_ID && AWS_SECRET_ACCESS_KEY
      ? { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY }
      : TEST_CREDENTIALS;
  const reason = await refusalOf({ endpoint, region, credentials });
  if (reason !== undefined) {
    const why = `AWS_ENDPOINT_URL is ${endpoint}, but Secrets Manager does not answer there (${reason})`;
    throw new PartUnavailable('AWS', why, command);
  }
  report(`using ${endpoint}, region ${region} (AWS_ENDPOINT_URL)`);
  const notOurs = (): Promise<never> => Promise.reject(new Error('AWS_ENDPOINT_URL was not started by the lab.'));
  return { endpoint, region, credentials, stop: () => Promise.resolve(), kill: notOurs, restart: notOurs };
}

async function startMoto(report: Report): Promise<Aws> {
  const start = await motoStarter(report);
  const startedAt = Date.now();
  let failure = '';
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = await freePort();
    const endpoint = `http://${LOOPBACK}:${port}`;
    const moto = start(port);
    if (await isReady(moto, endpoint)) {
      report(`ready on ${LOOPBACK}:${port} (moto ${MOTO_VERSION}, ${secondsSince(startedAt)})`);
      return runningMoto(moto, endpoint, () => start(port));
    }
    await moto.end('SIGKILL');
    failure = lastLines(moto.output());
    if (!/address already in use|port is already allocated/i.test(moto.output())) break;
  }
  throw new PartUnavailable('AWS (moto)', `moto does not start (${failure})`, `moto_server -H ${LOOPBACK} -p 5000`);
}

function runningMoto(first: RunningProcess, endpoint: string, startAgain: () => RunningProcess): Aws {
  let moto = first;
  return {
    endpoint,
    region: DEFAULT_REGION,
    credentials: TEST_CREDENTIALS,
    stop: async () => void (await moto.end('SIGTERM')),
    kill: async () => void (await moto.end('SIGKILL')),
    restart: async () => {
      if (moto.isRunning()) throw new Error('AWS is running; kill it first.');
      moto = startAgain();
      if (!(await isReady(moto, endpoint))) throw new Error(`moto does not start again (${lastLines(moto.output())})`);
    },
  };
}

async function isReady(moto: RunningProcess, endpoint: string): Promise<boolean> {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (moto.isRunning() && Date.now() < deadline) {
    const aws = { endpoint, region: DEFAULT_REGION, credentials: TEST_CREDENTIALS };
    if ((await refusalOf(aws)) === undefined) return true;
    await delay(50);
  }
  return false;
}

async function refusalOf(aws: Pick<Aws, 'endpoint' | 'region' | 'credentials'>): Promise<string | undefined> {
  const client = secretsManagerOf(aws);
  try {
    await client.send(new ListSecretsCommand({ MaxResults: 1 }), { abortSignal: AbortSignal.timeout(10_000) });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message || error.name : String(error);
  } finally {
    client.destroy();
  }
}
