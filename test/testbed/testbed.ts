import { randomBytes } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Client, Connection } from '@temporalio/client';
import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { stringify } from 'yaml';
import { ROTATION_WORKFLOWS, rotationWorkflowId } from '../../src/rotation/names';
import type { SecretType } from '../../src/rotation/names';
import type { RotationInput, RotationResult } from '../../src/rotation/types';
import { secretsManagerOf } from '../lab/aws';
import { spawnWorker } from '../lab/worker-process';
import type { WorkerProcess } from '../lab/worker-process';
import { createDatabases } from './databases';
import type { Databases } from './databases';
import { createPauses, PAUSES_DIRECTORY } from './pauses';
import type { Pauses } from './pauses';
import { scanForValues } from './scan';
import type { Run } from './scan';
import { createSecrets } from './secrets';
import type { Secrets } from './secrets';

type Declaration = { type: SecretType } & Record<string, unknown>;

/**
 * One test file's corner of the shared lab: an environment, a task queue and a catalog of its own, so that files run side by side.
 * Its workers are real processes.
 */
export interface Testbed {
  environment: string;
  taskQueue: string;
  client: Client;
  secretsManager: SecretsManagerClient;
  secrets: Secrets;
  databases: Databases;
  pauses: Pauses;
  /** The environment variables that workers and the CLI get. */
  env: Record<string, string>;
  /** Adds secrets to the catalog, or changes their declaration. */
  declare(secrets: Record<string, Declaration>): Promise<void>;
  /** Says in the catalog who is told of what. */
  declareNotifications(notifications: Record<string, unknown>): Promise<void>;
  /** Says in the catalog which queue events come from. */
  declareEvents(events: Record<string, unknown>): Promise<void>;
  /** Overwrites the catalog file with any text. */
  writeCatalog(text: string): Promise<void>;
  startWorker(env?: Record<string, string>): Promise<WorkerProcess>;
  start(
    secret: string,
    input?: Partial<RotationInput>,
    workflowType?: string,
  ): Promise<WorkflowHandleWithFirstExecutionRunId>;
  /** Starts a rotation of a declared secret and waits for its result. */
  rotate(secret: string, input?: Partial<RotationInput>, workflowType?: string): Promise<RotationResult>;
  /** Text that a test got to see and wants scanned too: CLI output, messages. */
  alsoScan(name: string, text: string): void;
  /** Values that no secret of the environment need hold at the end, such as those of deleted keys. */
  alsoSecret(values: () => string[]): void;
  /** A part of the test's own that ends with the testbed. */
  alsoStop(part: { stop(): Promise<void> }): void;
  /** Ends the workers, and then looks for every value that was ever stored in all that left the activities. */
  close(): Promise<void>;
}

/**
 * @param policy merged into the environment's in the catalog.
 * @param databaseUrl a superuser's, of a PostgreSQL server other than the lab's.
 */
export async function openTestbed(
  policy: Record<string, unknown> = {},
  databaseUrl = process.env['LAB_DATABASE_URL'] ?? '',
): Promise<Testbed> {
  const environment = `t${randomBytes(4).toString('hex')}`;
  const taskQueue = `keyturn-${environment}`;
  const directory = await mkdtemp(join(tmpdir(), 'keyturn-test-'));
  const catalogPath = join(directory, 'keyturn.yaml');
  const pausesDirectory = join(directory, 'pauses');
  const connection = await Connection.connect({ address: process.env['TEMPORAL_ADDRESS'] });
  const client = new Client({ connection, namespace: process.env['TEMPORAL_NAMESPACE'] });
  const secretsManager = secretsManagerOf({
    endpoint: process.env['AWS_ENDPOINT_URL'] ?? '',
    region: process.env['AWS_REGION'] ?? '',
    credentials: {
      accessKeyId: process.env['AWS_ACCESS_KEY_ID'] ?? '',
      secretAccessKey: process.env['AWS_SECRET_ACCESS_KEY'] ?? '',
    },
  });
  const secrets = createSecrets(secretsManager, environment);
  const declarations: Record<string, Declaration> = {};
  let notifications: Record<string, unknown> | undefined;
  let events: Record<string, unknown> | undefined;
  const workers: WorkerProcess[] = [];
  const runs: Run[] = [];
  const seen: { name: string; text: string }[] = [];
  const moreValues: (() => string[])[] = [];
  const parts: { stop(): Promise<void> }[] = [];
  const env = Object.fromEntries(
    Object.entries({
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(AWS|TEMPORAL|KEYTURN)_/.test(name))),
      KEYTURN_CATALOG: catalogPath,
      KEYTURN_TASK_QUEUE: taskQueue,
      KEYTURN_REQUESTED_BY: 'tester',
      [PAUSES_DIRECTORY]: pausesDirectory,
    }).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );

  let lastWrite = Promise.resolve();
  /** One after another, and each at once: a worker must not read half a catalog, nor an older one last. */
  const writeCatalog = (text: string): Promise<void> => {
    lastWrite = lastWrite.then(async () => {
      await writeFile(`${catalogPath}.new`, text);
      await rename(`${catalogPath}.new`, catalogPath);
    });
    return lastWrite;
  };
  async function declare(added: Record<string, Declaration>): Promise<void> {
    Object.assign(declarations, added);
    await writeCatalog(
      stringify({
        environments: {
          [environment]: { stepTimeout: '60 seconds', rollbackTimeout: '60 seconds', ...policy, secrets: declarations },
        },
        ...(notifications && { notifications }),
        ...(events && { events }),
      }),
    );
  }
  await declare({ unused: { type: 'app-secret' } });
  const databases = createDatabases(secrets, declare, environment, databaseUrl);

  async function start(secret: string, input: Partial<RotationInput> = {}, workflowType?: string) {
    const declared = declarations[secret]?.type ?? 'app-secret';
    const handle = await client.workflow.start(workflowType ?? ROTATION_WORKFLOWS[declared], {
      taskQueue,
      workflowId: rotationWorkflowId(environment, secret),
      args: [{ environment, secret, requestedBy: 'tester', ...input }],
    });
    runs.push({ workflowId: handle.workflowId, runId: handle.firstExecutionRunId });
    return handle;
  }

  return {
    environment,
    taskQueue,
    client,
    secretsManager,
    secrets,
    databases,
    pauses: createPauses(pausesDirectory),
    env,
    declare,
    declareNotifications(declared) {
      notifications = declared;
      return declare({});
    },
    declareEvents(declared) {
      events = declared;
      return declare({});
    },
    writeCatalog,
    start,
    async startWorker(more = {}) {
      const login = process.env['LAB_WORKER_AUDIT_URL'];
      const own: Record<string, string> = login === undefined ? {} : { KEYTURN_AUDIT_DATABASE_URL: login };
      const worker = await spawnWorker({ ...env, ...own, ...more }, { program: 'dist/test/testbed/test-worker.js' });
      workers.push(worker);
      await worker.ready;
      return worker;
    },
    async rotate(secret, input, workflowType) {
      const handle = await start(secret, input, workflowType);
      return (await handle.result()) as RotationResult;
    },
    alsoScan(name, text) {
      seen.push({ name, text });
    },
    alsoSecret(values) {
      moreValues.push(values);
    },
    alsoStop(part) {
      parts.push(part);
    },
    async close() {
      try {
        const metrics = await Promise.all(workers.map(metricsOf));
        await Promise.all(workers.map((worker) => worker.stop()));
        await scanForValues({
          client,
          environment,
          taskQueue,
          runs,
          canaries: [
            ...(await secrets.everyValue()),
            ...[...databases.passwords(), ...moreValues.flatMap((values) => values())].map((value) => ({ value })),
          ],
          texts: [
            ...workers.map((worker, n) => ({ name: `log of worker ${n + 1}`, text: worker.output() })),
            ...metrics,
            ...seen,
          ],
        });
      } finally {
        await Promise.all(parts.map((part) => part.stop()));
        await databases.drop();
        secretsManager.destroy();
        await connection.close();
        await rm(directory, { recursive: true, force: true });
      }
    },
  };
}

async function metricsOf(worker: WorkerProcess): Promise<{ name: string; text: string }> {
  const { metricsAddress } = await worker.ready;
  const text = await fetch(`http://${metricsAddress}/metrics`).then(
    (answer) => answer.text(),
    () => '',
  );
  return { name: 'the metrics', text };
}

/** What a failed rotation says: its failure's type, message and details. */
export async function failureOf(
  rotation: Promise<unknown>,
): Promise<{ type: string; message: string; details: unknown }> {
  try {
    const result = await rotation;
    throw new Error(`it was expected to fail and gave ${JSON.stringify(result)}`);
  } catch (error) {
    const cause = (error as { cause?: { type?: string; message?: string; details?: unknown[] } }).cause;
    if (!cause?.type) throw error;
    return { type: cause.type, message: cause.message ?? '', details: cause.details?.[0] };
  }
}
