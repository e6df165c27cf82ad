/** `npm run lab`: the real parts, the sample catalog's secrets and a worker, until Ctrl-C. */
import { join, relative } from 'node:path';
import { rotationWorkflowId, TASK_QUEUE } from '../../src/rotation/names';
import { shellQuoted, writeEnvFile } from './env-file';
import { onPath } from './executables';
import { startLab, type Lab } from './lab';
import { PartUnavailable, reportFor, secondsSince } from './part';
import { PROJECT_ROOT, projectFile } from './project';
import { seedSampleCatalog } from './seed';
import { stopSignal } from './stop-signals';
import { spawnWorker, WorkerNotReady, type WorkerProcess } from './worker-process';

/** Two labs in one checkout need a folder each. */
const ENV_FILE = join(process.env.KEYTURN_LAB_FOLDER || projectFile('.lab'), 'env');

const say = (line: string): void => console.log(line);

async function main(): Promise<number> {
  const stopped = stopSignal();
  void stopped.then((signal) => say(`\n${signal}: ending the lab`));
  const running = await Promise.race([startAll(), stopped]);
  // Stopped while starting: what was started so far ends with this process.
  if (typeof running === 'string') return 130;

  const { lab, worker, removeEnvFile } = running;
  const workerEnd = await Promise.race([stopped.then(() => undefined), worker.exited]);
  if (workerEnd !== undefined) {
    say(`\nThe worker has ended (${workerEnd.signal ?? `exit code ${workerEnd.code}`}), so the lab ends too.`);
  }
  await removeEnvFile();
  await worker.stop();
  await lab.stop();
  return workerEnd === undefined ? 0 : 1;
}

interface Running {
  lab: Lab;
  worker: WorkerProcess;
  removeEnvFile: () => Promise<void>;
}

async function startAll(): Promise<Running> {
  const startedAt = Date.now();
  const lab = await startLab({ report: say });
  await seedSampleCatalog(lab);
  const worker = await startWorker(lab);
  const removeEnvFile = await writeEnvFile(ENV_FILE, lab.env);
  say(`\n${introduction(lab, secondsSince(startedAt))}`);
  return { lab, worker, removeEnvFile };
}

async function startWorker(lab: Lab): Promise<WorkerProcess> {
  const startedAt = Date.now();
  const worker = await spawnWorker(lab.env, { onLine: warningsOnly });
  const { healthAddress, metricsAddress } = await worker.ready;
  reportFor(
    'worker',
    say,
  )(`ready, health http://${healthAddress}, metrics http://${metricsAddress} (${secondsSince(startedAt)})`);
  return worker;
}

/** Its log is one JSON object per line; what is not JSON is meant for a person. */
function warningsOnly(line: string): void {
  if (!line.startsWith('{') || /"level":"(warn|error|fatal)"/.test(line)) reportFor('worker', say)(line);
}

function introduction(lab: Lab, took: string): string {
  const temporal = onPath('temporal') === undefined ? '"$LAB_TEMPORAL_BIN"' : 'temporal';
  const keyturn = 'node dist/src/client/cli.js';
  const workflowId = rotationWorkflowId('dev', 'database/app');
  const input = shellQuoted(JSON.stringify({ environment: 'dev', secret: 'database/app' }));
  return [
    `The lab is up (${took}). Ctrl-C ends it.`,
    '',
    `  Temporal     ${lab.temporal.address}`,
    `  web UI       ${lab.temporal.uiUrl ?? 'that of your own server'}`,
    `  PostgreSQL   ${lab.postgres.host}:${lab.postgres.port} (superuser: $LAB_DATABASE_URL)`,
    `  AWS          ${lab.aws.endpoint}`,
    '',
    'To try in another terminal:',
    '',
    `  source ${shown(ENV_FILE)}`,
    '',
    '  # rotate the password of a database login',
    `  ${temporal} workflow start --task-queue ${TASK_QUEUE} --type rotateDatabaseCredential --workflow-id ${workflowId} --input ${input}`,
    '',
    '  # rotate an application secret, watching its steps',
    `  ${keyturn} rotate dev/jwt-secret`,
    '',
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
