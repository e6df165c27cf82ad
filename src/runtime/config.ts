import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { TASK_QUEUE } from '../rotation/names';
import type { ListenAddress } from './addresses';
import { parseListenAddress } from './addresses';
import { StartupError } from './startup-error';
import type { TemporalSettings } from './temporal-settings';
import { readTemporalSettings } from './temporal-settings';
import type { TracingSettings } from './tracing/settings';
import { readTracingSettings } from './tracing/settings';
import { WRITES_PER_SECOND } from './write-pace';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The environment that a program was started with. */
export type Environment = Record<string, string | undefined>;

/** What every Keyturn program needs. Holds credentials: never log it. */
export interface Config {
  temporal: TemporalSettings;
  taskQueue: string;
  /** Absolute. */
  catalogPath: string;
  logLevel: LogLevel;
  /** A KMS key ID, ARN or alias; turns payload encryption on. Worker and clients must agree. */
  payloadKmsKey?: string;
  /** With its password. Only the worker and `keyturn audit` need it. */
  auditDatabaseUrl?: string;
  /** Where traces go; absent when tracing is off. */
  tracing?: TracingSettings;
}

/** What the worker needs on top. Holds credentials: never log it. */
export interface WorkerConfig extends Config {
  auditDatabaseUrl: string;
  healthAddress: ListenAddress;
  metricsAddress: ListenAddress;
  /** How many rotations the worker keeps in memory, at about 1 MB each. */
  maxCachedWorkflows: number;
  /** How many writes to Secrets Manager all workers together send in a second. */
  secretWritesPerSecond: number;
  /** Whether metrics go to CloudWatch as well. */
  cloudWatchMetrics: boolean;
  /** Turns worker versioning on. */
  deployment?: { name: string; buildId: string };
}

/** Thrown with one message that names every setting that is wrong and what was expected, without any credential. */
export class ConfigError extends StartupError {
  override readonly name = 'ConfigError';

  constructor(readonly problems: readonly string[]) {
    super(
      `The configuration is wrong in ${problems.length === 1 ? 'one place' : `${problems.length} places`}; nothing was started or changed.\n` +
        problems.map((problem) => `  - ${problem}`).join('\n') +
        '\nEvery setting is explained in .env.example.',
    );
  }
}

/**
 * Reads what clients need, such as the CLI.
 *
 * @throws ConfigError naming every wrong setting.
 */
export function readConfig(env: Environment): Config {
  const problems: string[] = [];
  const config = readShared(env, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

/**
 * Reads what the worker needs: everything of {@link readConfig}, its addresses, the audit database and an AWS region.
 * The region comes from `AWS_REGION` or, by the SDK's own chain, from the profile in the process's AWS configuration
 * files.
 *
 * @throws ConfigError naming every wrong setting.
 */
export async function readWorkerConfig(env: Environment): Promise<WorkerConfig> {
  const problems: string[] = [];
  const shared = readShared(env, problems);
  const healthAddress = readAddress(env, 'KEYTURN_HEALTH_ADDRESS', '127.0.0.1:9465', problems);
  const metricsAddress = readAddress(env, 'KEYTURN_METRICS_ADDRESS', '127.0.0.1:9464', problems);
  const maxCachedWorkflows = readCount(env, 'KEYTURN_MAX_CACHED_WORKFLOWS', 250, problems);
  const secretWritesPerSecond = readCount(env, 'KEYTURN_SECRET_WRITES_PER_SECOND', WRITES_PER_SECOND, problems);
  const cloudWatchMetrics = readFlag(env, 'KEYTURN_CLOUDWATCH_METRICS', problems);
  const deployment = readDeployment(env, problems);
  if (shared.auditDatabaseUrl === undefined && !value(env, 'KEYTURN_AUDIT_DATABASE_URL')) {
    problems.push(`KEYTURN_AUDIT_DATABASE_URL is not set; expected ${AUDIT_URL_SHAPE}`);
  }
  checkCatalogIsReadable(shared.catalogPath, problems);
  await checkRegion(env, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    ...shared,
    auditDatabaseUrl: shared.auditDatabaseUrl as string,
    healthAddress,
    metricsAddress,
    maxCachedWorkflows,
    secretWritesPerSecond,
    cloudWatchMetrics,
    ...(deployment && { deployment }),
  };
}

const AUDIT_URL_SHAPE = 'postgresql://user:password@host:5432/database';

/** Compose files and shells pass variables on as empty strings; those count as not set. */
function value(env: Environment, name: string): string | undefined {
  return env[name]?.trim() || undefined;
}

function readShared(env: Environment, problems: string[]): Config {
  const payloadKmsKey = readKmsKey(env, problems);
  const auditDatabaseUrl = readAuditDatabaseUrl(env, problems);
  const tracing = readTracingSettings(env, problems);
  return {
    temporal: readTemporalSettings(env, problems),
    taskQueue: value(env, 'KEYTURN_TASK_QUEUE') ?? TASK_QUEUE,
    catalogPath: resolve(value(env, 'KEYTURN_CATALOG') ?? 'keyturn.yaml'),
    logLevel: readLogLevel(env, problems),
    ...(payloadKmsKey !== undefined && { payloadKmsKey }),
    ...(auditDatabaseUrl !== undefined && { auditDatabaseUrl }),
    ...(tracing && { tracing }),
  };
}

function readLogLevel(env: Environment, problems: string[]): LogLevel {
  const text = value(env, 'KEYTURN_LOG_LEVEL') ?? 'info';
  const level = LOG_LEVELS.find((known) => known === text.toLowerCase());
  if (!level) problems.push(`KEYTURN_LOG_LEVEL is '${text}'; expected one of ${LOG_LEVELS.join(', ')}`);
  return level ?? 'info';
}

/** The forms that KMS takes as a KeyId (AWS KMS API reference, GenerateDataKey). */
const KMS_KEY = /^(arn:aws[\w-]*:kms:[\w-]+:\d{12}:(key|alias)\/.+|alias\/[\w/-]+|(mrk-)?[0-9a-f-]{32,36})$/;

function readKmsKey(env: Environment, problems: string[]): string | undefined {
  const key = value(env, 'KEYTURN_PAYLOAD_KMS_KEY');
  if (key !== undefined && !KMS_KEY.test(key)) {
    problems.push(`KEYTURN_PAYLOAD_KMS_KEY is '${key}'; expected a KMS key ID, a key ARN or 'alias/name'`);
  }
  return key;
}

function readAuditDatabaseUrl(env: Environment, problems: string[]): string | undefined {
  const url = value(env, 'KEYTURN_AUDIT_DATABASE_URL');
  if (url === undefined) return undefined;
  // The value itself stays out of the message: even a malformed one may hold the password.
  const refuse = (what: string) => {
    problems.push(`KEYTURN_AUDIT_DATABASE_URL ${what}; expected ${AUDIT_URL_SHAPE} (the value is not shown here)`);
    return undefined;
  };
  if (!URL.canParse(url)) return refuse('is not a URL (special characters in the password must be percent-encoded)');
  const parsed = new URL(url);
  if (!['postgres:', 'postgresql:'].includes(parsed.protocol)) return refuse('is not a PostgreSQL URL');
  if (!parsed.hostname && !parsed.searchParams.has('host')) return refuse('names no host');
  if (parsed.pathname.length < 2) return refuse('names no database');
  return url;
}

function readAddress(env: Environment, name: string, standard: string, problems: string[]): ListenAddress {
  const text = value(env, name) ?? standard;
  const address = parseListenAddress(text);
  if (!address)
    problems.push(
      `${name} is '${text}'; expected an IP address and a port, such as ${standard} (port 0: any free one)`,
    );
  return address ?? { host: '127.0.0.1', port: 0 };
}

function readCount(env: Environment, name: string, standard: number, problems: string[]): number {
  const text = value(env, name) ?? `${standard}`;
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  problems.push(`${name} is '${text}'; expected a whole number from 1 to 999999, such as ${standard}`);
  return standard;
}

function readFlag(env: Environment, name: string, problems: string[]): boolean {
  const text = value(env, name)?.toLowerCase() ?? 'false';
  if (text !== 'true' && text !== 'false') problems.push(`${name} is '${text}'; expected true or false`);
  return text === 'true';
}

function readDeployment(env: Environment, problems: string[]): WorkerConfig['deployment'] {
  const name = value(env, 'TEMPORAL_DEPLOYMENT_NAME');
  const buildId = value(env, 'TEMPORAL_WORKER_BUILD_ID');
  if (name && buildId) {
    // The server writes versions as `name.buildId` or `name:buildId`.
    if (/[.:]/.test(name)) problems.push(`TEMPORAL_DEPLOYMENT_NAME is '${name}'; expected a name without '.' and ':'`);
    return { name, buildId };
  }
  if (name || buildId) {
    const [set, missing] = name
      ? ['TEMPORAL_DEPLOYMENT_NAME', 'TEMPORAL_WORKER_BUILD_ID']
      : ['TEMPORAL_WORKER_BUILD_ID', 'TEMPORAL_DEPLOYMENT_NAME'];
    problems.push(`${set} is set without ${missing}; expected both (worker versioning) or neither`);
  }
  return undefined;
}

function checkCatalogIsReadable(path: string, problems: string[]): void {
  try {
    accessSync(path, constants.R_OK);
  } catch {
    problems.push(
      `KEYTURN_CATALOG: ${path} cannot be read; expected the path of the catalog file (default ./keyturn.yaml)`,
    );
  }
}

async function checkRegion(env: Environment, problems: string[]): Promise<void> {
  const endpoint = value(env, 'AWS_ENDPOINT_URL');
  if (endpoint !== undefined && !/^https?:\/\/[^/]/.test(endpoint)) {
    problems.push(`AWS_ENDPOINT_URL is '${endpoint}'; expected an http or https URL, or nothing for AWS itself`);
  }
  if (value(env, 'AWS_REGION')) return;
  const client = new SecretsManagerClient({});
  try {
    await client.config.region();
  } catch {
    const hint = value(env, 'AWS_DEFAULT_REGION')
      ? ' (AWS_DEFAULT_REGION is set, but the AWS SDK for JavaScript does not read it)'
      : '';
    problems.push(`AWS_REGION is not set${hint}; expected a region such as eu-central-1, here or in the AWS profile`);
  } finally {
    client.destroy();
  }
}
