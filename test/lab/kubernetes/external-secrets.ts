import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Aws } from '../aws';
import { PartUnavailable, reportFor, secondsSince, type Report } from '../part';
import { lastLines, startProcess, type RunningProcess } from '../processes';
import { operatorFiles, OPERATOR_VERSION } from './build';
import type { Kubernetes } from './kubernetes';

/** External Secrets Operator at work in a cluster. */
export interface ExternalSecrets {
  /** Ends the operator; its resources stay. */
  stop(): Promise<void>;
  /** Starts it again after {@link stop}; returns when it is at work. */
  start(): Promise<void>;
}

const READY_WITHIN_MS = 60_000;

/**
 * Starts the operator for a cluster, with its custom resource definitions. The first one on a machine is built (3 minutes of processor time).
 *
 * A SecretStore of the provider `aws` reads from the given AWS; without an `auth` of its own it uses the given credentials.
 *
 * @throws {PartUnavailable}
 */
export async function startExternalSecrets(
  kubernetes: Pick<Kubernetes, 'kubeconfig' | 'apply'>,
  aws: Pick<Aws, 'endpoint' | 'region' | 'credentials'>,
  report: Report,
): Promise<ExternalSecrets> {
  const say = reportFor('kubernetes', report);
  const { program, definitions } = await operatorFiles(report);
  const startedAt = Date.now();
  await kubernetes.apply(await readFile(definitions, 'utf8'));

  let operator: RunningProcess | undefined;
  const start = async (): Promise<void> => {
    if (operator?.isRunning()) throw new Error('External Secrets Operator is running; stop it first.');
    // 0: no metrics, which would be served on all interfaces.
    operator = startProcess(program, ['--metrics-addr=0'], {
      env: { PATH: process.env.PATH, KUBECONFIG: kubernetes.kubeconfig, ...awsEnvironment(aws) },
    });
    if (await isAtWork(operator)) return;
    await operator.end('SIGKILL');
    throw new PartUnavailable(
      'External Secrets Operator',
      `it does not start (${lastLines(operator.output())})`,
      `rm -r ${program}, so that it is built again`,
    );
  };
  await start();
  say(`External Secrets Operator is at work (${OPERATOR_VERSION}, ${secondsSince(startedAt)})`);
  return { start, stop: async () => void (await operator?.end('SIGTERM')) };
}

function awsEnvironment({ endpoint, region, credentials }: Pick<Aws, 'endpoint' | 'region' | 'credentials'>) {
  return {
    AWS_SECRETSMANAGER_ENDPOINT: endpoint,
    AWS_SSM_ENDPOINT: endpoint,
    AWS_STS_ENDPOINT: endpoint,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

async function isAtWork(operator: RunningProcess): Promise<boolean> {
  const deadline = Date.now() + READY_WITHIN_MS;
  const working = /"Starting workers".*"controller":"externalsecret"/;
  while (operator.isRunning() && Date.now() < deadline) {
    if (working.test(operator.output())) return true;
    await delay(50);
  }
  return false;
}
