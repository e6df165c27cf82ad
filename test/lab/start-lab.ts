/** `npm run lab`: the real parts, the sample catalog's secrets and a worker, until Ctrl-C; with `-- --kubernetes` a cluster too. */
import { join, relative, resolve } from 'node:path';
import { rotationWorkflowId, TASK_QUEUE } from '../../src/rotation/names';
import { startFakeKeyService } from '../testbed/fake-key-service';
import type { FakeKeyService } from '../testbed/fake-key-service';
import { envFile, shellQuoted } from './env-file';
import { onPath } from './executables';
import { startSampleCluster, withKubernetes, type SampleCluster } from './kubernetes/sample';
import { startLab, type Lab } from './lab';
import { writeOwnFile } from './own-file';
import { PartUnavailable, reportFor, secondsSince } from './part';
import { PROJECT_ROOT, projectFile } from './project';
import { sampleCatalogFor } from './sample-catalog';
import { seedSampleCatalog } from './seed';
import { stopSignal } from './stop-signals';
import { spawnWorker, WorkerNotReady, type WorkerProcess } from './worker-process';

/** Two labs in one checkout need a folder each. */
const FOLDER = resolve(process.env.KEYTURN_LAB_FOLDER || projectFile('.lab'));
const ENV_FILE = join(FOLDER, 'env');
const CATALOG_FILE = join(FOLDER, 'keyturn.yaml');

const WITH_KUBERNETES = process.argv.slice(2).includes('--kubernetes');

const say = (line: string): void => console.log(line);

async function main(): Promise<number> {
  const stopped = stopSignal();
  void stopped.then((signal) => say(`\n${signal}: ending the lab`));
  const running = await Promise.race([startAll(), stopped]);
  // Stopped while starting: what was started so far ends with this process.
  if (typeof running === 'string') return 130;

  const { lab, worker, keyService, sample, removeFiles } = running;
  const workerEnd = await Promise.race([stopped.then(() => undefined), worker.exited]);
  if (workerEnd !== undefined) {
    say(`\nThe worker has ended (${workerEnd.signal ?? `exit code ${workerEnd.code}`}), so the lab ends too.`);
  }
  await removeFiles();
  await worker.stop();
  await keyService.stop();
  await sample?.stop();
  await lab.stop();
  return workerEnd === undefined ? 0 : 1;
}

interface Running {
  lab: Lab;
  worker: WorkerProcess;
  keyService: FakeKeyService;
  /** Only with `--kubernetes`. */
  sample?: SampleCluster;
  removeFiles: () => Promise<void>;
}

async function startAll(): Promise<Running> {
  const startedAt = Date.now();
  const lab = await startLab({ report: say, kubernetes: WITH_KUBERNETES });
  const keyService = await startFakeKeyService();
  reportFor('key service', say)(`ready on ${keyService.url}, in place of a provider of API keys`);
  await seedSampleCatalog(lab, keyService);
  const catalog = await sampleCatalogFor(keyService);
  const removeCatalog = await writeOwnFile(CATALOG_FILE, WITH_KUBERNETES ? withKubernetes(catalog) : catalog);
  const sample = WITH_KUBERNETES ? await startSampleCluster(lab) : undefined;
  const more = { ...(await addressesOf(sample)), KEYTURN_CATALOG: CATALOG_FILE };
  const worker = await startWorker({ ...lab.workerEnv, ...more });
  const removeEnvFile = await writeOwnFile(ENV_FILE, envFile({ ...lab.env, ...more }));
  say(`\n${introduction(lab, keyService, secondsSince(startedAt))}`);
  const removeFiles = async () => {
    await removeEnvFile();
    await removeCatalog();
  };
  return { lab, worker, keyService, sample, removeFiles };
}

/** Where the sample's applications answer which login they use. */
async function addressesOf(sample?: SampleCluster): Promise<Record<string, string>> {
  if (sample === undefined) return {};
  const { kubelet } = sample;
  return {
    LAB_ORDERS_WORKER: (await kubelet.serve('orders-worker')).url,
    LAB_ORDERS_API: (await kubelet.serve('orders-api')).url,
  };
}

async function startWorker(env: Record<string, string>): Promise<WorkerProcess> {
  const startedAt = Date.now();
  const worker = await spawnWorker(env, { onLine: warningsAndNotifications });
  const { healthAddress, metricsAddress } = await worker.ready;
  reportFor(
    'worker',
    say,
  )(`ready, health http://${healthAddress}, metrics http://${metricsAddress} (${secondsSince(startedAt)})`);
  return worker;
}

/** Its log is one JSON object per line; what is not JSON is meant for a person. */
function warningsAndNotifications(line: string): void {
  const forPeople = /"level":"(warn|error|fatal)"|"event":"notification"/;
  if (!line.startsWith('{') || forPeople.test(line)) reportFor('worker', say)(line);
}

function introduction(lab: Lab, keyService: FakeKeyService, took: string): string {
  const temporal = onPath('temporal') === undefined ? '"$LAB_TEMPORAL_BIN"' : 'temporal';
  const keyturn = 'node dist/src/client/cli.js';
  const start = (type: string, secret: string) => {
    const input = shellQuoted(JSON.stringify({ environment: 'dev', secret }));
    return `${temporal} workflow start --task-queue ${TASK_QUEUE} --type ${type} --workflow-id ${rotationWorkflowId('dev', secret)} --input ${input}`;
  };
  return [
    `The lab is up (${took}). Ctrl-C ends it.`,
    '',
    `  Temporal     ${lab.temporal.address}`,
    `  web UI       ${lab.temporal.uiUrl ?? 'that of your own server'}`,
    `  PostgreSQL   ${lab.postgres.host}:${lab.postgres.port} (superuser: $LAB_DATABASE_URL)`,
    `  AWS          ${lab.aws.endpoint}`,
    ...(lab.cluster
      ? [
          `  Kubernetes   ${lab.cluster.kubernetes.server}, with External Secrets Operator; the namespace of the sample is dev`,
          `  kubectl      KUBECONFIG=${shellQuoted(lab.cluster.kubernetes.kubeconfig)}`,
        ]
      : []),
    `  key service  ${keyService.url}`,
    `  catalog      ${shown(CATALOG_FILE)}, a copy of keyturn.yaml; edit it to try something else`,
    '',
    'To try in another terminal:',
    '',
    `  source ${shown(ENV_FILE)}`,
    '',
    '  # rotate the password of a database login',
    `  ${start('rotateDatabaseCredential', 'database/app')}`,
    '',
    '  # rotate an application secret, watching its steps',
    `  ${keyturn} rotate dev/jwt-secret`,
    '',
    '  # rotate an API key: both keys work for 7 days, or until you say otherwise',
    `  ${start('rotateApiKey', 'api/payments')}`,
    `  ${keyturn} phase-in dev/api/payments 50`,
    `  ${keyturn} extend dev/api/payments --by '3 days'`,
    `  ${keyturn} end-grace dev/api/payments`,
    '',
    ...(lab.cluster
      ? [
          '  # rotate a database credential that is used in Kubernetes: orders-worker is restarted, orders-api reads its files again;',
          '  # they answer with the login that they use',
          `  curl "$LAB_ORDERS_WORKER" "$LAB_ORDERS_API"`,
          `  ${keyturn} rotate dev/database/orders`,
          `  curl "$LAB_ORDERS_WORKER" "$LAB_ORDERS_API"`,
          '  kubectl -n dev get externalsecrets,deployments,replicasets,pods',
          '',
        ]
      : []),
    '  # see what was done, step by step',
    `  ${keyturn} status dev/database/app`,
    '',
  ].join('\n');
}

/** As it is typed in the checkout. */
function shown(path: string): string {
  const fromRoot = relative(PROJECT_ROOT, path);
  return fromRoot.startsWith('..') ? shellQuoted(path) : fromRoot;
}

function isForTheOperator(error: unknown): error is Error {
  return error instanceof PartUnavailable || error instanceof WorkerNotReady;
}

main().then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    console.error(isForTheOperator(error) ? `\n${error.message}` : error);
    process.exit(1);
  },
);
