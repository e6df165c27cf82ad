import { createAuditDatabase, type AuditDatabase } from './audit-database';
import { startAws, type Aws } from './aws';
import { startExternalSecrets, type ExternalSecrets } from './kubernetes/external-secrets';
import { startKubernetes, type Kubernetes } from './kubernetes/kubernetes';
import type { Report } from './part';
import { startPostgres, type Postgres, type PostgresOptions } from './postgres';
import { projectFile } from './project';
import { startTemporal, type Temporal } from './temporal';

/** The real parts, running. */
export interface Lab {
  temporal: Temporal;
  postgres: Postgres;
  aws: Aws;
  auditDatabase: AuditDatabase;
  /** Only with the option `kubernetes`. */
  cluster?: Cluster;
  /** What the CLI and a person's shell need to work with this lab. */
  env: Record<string, string>;
  /** What a worker needs: the same, with its own login to the audit database. */
  workerEnv: Record<string, string>;
  /** Ends all that was started. */
  stop(): Promise<void>;
}

export interface LabOptions {
  /** Takes the progress, a line per part and one for each that has to be built. */
  report: Report;
  postgres?: PostgresOptions;
  /** Start a Kubernetes cluster too, whose External Secrets Operator reads from this AWS. Default false. */
  kubernetes?: boolean;
}

/**
 * Starts Temporal, PostgreSQL with the audit database, AWS, and Kubernetes where it is asked for, at the same time. If one cannot be
 * had, none is left running.
 *
 * @throws {PartUnavailable}
 */
export async function startLab(options: LabOptions): Promise<Lab> {
  const { report } = options;
  const startingAws = startAws(report);
  const [temporal, database, aws, cluster] = await Promise.allSettled([
    startTemporal(report),
    startPostgresWithAudit(report, options.postgres),
    startingAws,
    options.kubernetes ? startCluster(startingAws, report) : undefined,
  ]);
  if (
    temporal.status === 'fulfilled' &&
    database.status === 'fulfilled' &&
    aws.status === 'fulfilled' &&
    cluster.status === 'fulfilled'
  ) {
    return labOf(temporal.value, database.value, aws.value, cluster.value);
  }

  if (temporal.status === 'fulfilled') await temporal.value.stop();
  if (database.status === 'fulfilled') await database.value.postgres.stop();
  if (aws.status === 'fulfilled') await aws.value.stop();
  if (cluster.status === 'fulfilled') await cluster.value?.stop();
  const failed = [temporal, database, aws, cluster].find((part) => part.status === 'rejected');
  throw failed?.reason;
}

/** A Kubernetes cluster and the operator in it. */
export interface Cluster {
  kubernetes: Kubernetes;
  externalSecrets: ExternalSecrets;
  stop(): Promise<void>;
}

async function startCluster(aws: Promise<Aws>, report: Report): Promise<Cluster> {
  const kubernetes = await startKubernetes(report);
  try {
    const externalSecrets = await startExternalSecrets(kubernetes, await aws, report);
    const stop = async (): Promise<void> => {
      await externalSecrets.stop();
      await kubernetes.stop();
    };
    return { kubernetes, externalSecrets, stop };
  } catch (error) {
    await kubernetes.stop();
    throw error;
  }
}

async function startPostgresWithAudit(report: Report, options?: PostgresOptions): Promise<Database> {
  const postgres = await startPostgres(report, options);
  try {
    return { postgres, auditDatabase: await createAuditDatabase(postgres) };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

interface Database {
  postgres: Postgres;
  auditDatabase: AuditDatabase;
}

function labOf(temporal: Temporal, { postgres, auditDatabase }: Database, aws: Aws, cluster?: Cluster): Lab {
  const env: Record<string, string> = {
    TEMPORAL_ADDRESS: temporal.address,
    AWS_ENDPOINT_URL: aws.endpoint,
    AWS_REGION: aws.region,
    AWS_ACCESS_KEY_ID: aws.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: aws.credentials.secretAccessKey,
    KEYTURN_CATALOG: projectFile('keyturn.yaml'),
    KEYTURN_AUDIT_DATABASE_URL: auditDatabase.url,
    LAB_DATABASE_URL: postgres.superuserUrl,
  };
  if (temporal.namespace !== 'default') env.TEMPORAL_NAMESPACE = temporal.namespace;
  if (temporal.uiUrl !== undefined) env.LAB_TEMPORAL_UI = temporal.uiUrl;
  if (temporal.binary !== undefined) env.LAB_TEMPORAL_BIN = temporal.binary;
  if (cluster !== undefined) env.KUBECONFIG = cluster.kubernetes.kubeconfig;
  const stop = async (): Promise<void> => {
    await Promise.all([temporal.stop(), postgres.stop(), aws.stop(), cluster?.stop()]);
  };
  const workerEnv = { ...env, KEYTURN_AUDIT_DATABASE_URL: auditDatabase.workerUrl };
  return { temporal, postgres, aws, auditDatabase, cluster, env, workerEnv, stop };
}
