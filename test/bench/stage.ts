import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Client, Connection } from '@temporalio/client';
import { createPostgresAuditLog } from '../../src/activities/audit/postgres-audit-log';
import type { AuditLog } from '../../src/activities/audit/audit-log';
import { KeyturnClient } from '../../src/client/keyturn-client';
import type { RotationRun } from '../../src/client/keyturn-client';
import type { SecretType } from '../../src/rotation/names';
import { AWS_CLIENT_OPTIONS } from '../../src/runtime/aws-client-options';
import { startLab } from '../lab/lab';
import type { Lab } from '../lab/lab';
import type { Report } from '../lab/part';
import { watchPath } from '../lab/watcher';
import { spawnWorker } from '../lab/worker-process';
import type { WorkerProcess } from '../lab/worker-process';
import { ENVIRONMENT, TASK_QUEUE } from './subjects';

/** What all measurements share. */
export interface Stage {
  lab: Lab;
  temporal: Client;
  /** Set up as the worker's own, so that the calls made directly cost what they cost there. */
  secretsManager: SecretsManagerClient;
  audit: AuditLog;
  /** For files of a measurement; removed at the end. */
  directory: string;
  worker: WorkerProcess;
  /** What a worker for these subjects is started with. */
  workerEnv: Record<string, string>;
  /** Rotates to the end, as operators do. */
  rotate(secret: string, type?: SecretType): Promise<RotationRun>;
  close(): Promise<void>;
}

/** What measurements work on. */
export interface Props {
  /** Makes the secrets, and the catalog at that path. */
  create(lab: Lab, secretsManager: SecretsManagerClient, catalog: string): Promise<void>;
  /** For the worker, besides the lab's. */
  settings?: Record<string, string>;
  /** Whether they need a cluster. */
  kubernetes?: boolean;
}

/** @throws PartUnavailable */
export async function openStage(report: Report, { create, settings, kubernetes }: Props): Promise<Stage> {
  const lab = await startLab({ report, kubernetes });
  const directory = await mkdtemp(join(tmpdir(), 'keyturn-bench-'));
  const opened: (() => Promise<unknown>)[] = [() => lab.stop(), watchPath(directory)];
  const close = async () => {
    for (const end of opened.toReversed()) await end();
  };
  try {
    const { endpoint, region, credentials } = lab.aws;
    const secretsManager = new SecretsManagerClient({ ...AWS_CLIENT_OPTIONS, endpoint, region, credentials });
    opened.push(() => Promise.resolve(secretsManager.destroy()));
    const audit = createPostgresAuditLog(lab.auditDatabase.url);
    opened.push(() => audit.close());
    const connection = await Connection.connect({ address: lab.temporal.address });
    opened.push(() => connection.close());
    const catalog = join(directory, 'keyturn.yaml');
    await create(lab, secretsManager, catalog);
    const workerEnv = { ...lab.workerEnv, KEYTURN_CATALOG: catalog, KEYTURN_TASK_QUEUE: TASK_QUEUE, ...settings };
    const worker = await spawnWorker(workerEnv);
    opened.push(() => worker.stop());
    await worker.ready;
    const temporal = new Client({ connection, namespace: lab.temporal.namespace });
    const rotate = rotationsBy(new KeyturnClient(temporal, TASK_QUEUE));
    return { lab, temporal, secretsManager, audit, directory, worker, workerEnv, rotate, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Rotations started and awaited over a client. */
export function rotationsBy(keyturn: KeyturnClient): Stage['rotate'] {
  return async (secret, type = 'database') => {
    const run = await keyturn.start({ environment: ENVIRONMENT, secret, requestedBy: 'bench' }, type);
    await keyturn.follow(run);
    return run;
  };
}
