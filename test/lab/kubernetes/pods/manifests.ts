import { readFile } from 'node:fs/promises';
import { parseAllDocuments } from 'yaml';
import { projectFile } from '../../project';
import { RUNS_LABEL } from './fake-kubelet';

/** The three ways for an application to pick up a secret, and the name of the Deployment in deploy/kubernetes/applications. */
const WAYS = { volume: 'orders-api', environment: 'orders-worker', 'init-container': 'orders-reports' } as const;
export type Way = keyof typeof WAYS;

/** Reloader's annotation, which must not be there when Keyturn restarts the workload. */
const RELOADER_ANNOTATION = 'secret.reloader.stakater.com/reload';

/** What takes the place of the names in deploy/kubernetes. */
export interface ExternalSecretNames {
  namespace: string;
  /** The ExternalSecret and the Secret. */
  secret: string;
  /** In Secrets Manager. */
  secretId: string;
  region: string;
}

/** What a pod needs besides its login. */
export interface DatabaseAddress {
  host: string;
  port: number;
  dbname: string;
}

export interface ApplicationNames {
  namespace: string;
  secret: string;
  /** The Deployment; as in deploy/kubernetes when absent. */
  app?: string;
  database: DatabaseAddress;
  /** Whether it is Reloader that restarts it. Default false. */
  reloader?: boolean;
}

interface EnvironmentVariable {
  name: string;
  value?: string;
  valueFrom?: object;
}

export interface DeploymentManifest {
  metadata: { name: string; annotations?: Record<string, string> };
  spec: {
    replicas: number;
    progressDeadlineSeconds?: number;
    template: {
      metadata: { labels: Record<string, string> };
      spec: { containers: { env?: EnvironmentVariable[] }[] };
    };
  };
}

/** The SecretStore and the ExternalSecret of deploy/kubernetes/external-secret.yaml. */
export function externalSecretManifests({ namespace, secret, secretId, region }: ExternalSecretNames) {
  const names = {
    shop: namespace,
    'production/database/orders': secretId,
    'orders-db': secret,
    'eu-central-1': region,
  };
  return read('external-secret.yaml', names);
}

/** A Deployment of deploy/kubernetes/applications, to be run by the fake kubelet. */
export async function applicationManifest(way: Way, names: ApplicationNames): Promise<DeploymentManifest> {
  const { namespace, secret, app = WAYS[way], database, reloader = false } = names;
  const file = `applications/${way}.yaml`;
  const [deployment] = await read(file, { shop: namespace, 'orders-db': secret, [WAYS[way]]: app });
  const manifest = deployment as DeploymentManifest;
  const { metadata, spec } = manifest.spec.template;
  metadata.labels[RUNS_LABEL] = 'application';
  const [container] = spec.containers;
  if (container) container.env = [...(container.env ?? []), ...databaseEnvironment(way, secret, database)];
  if (reloader) manifest.metadata.annotations = { [RELOADER_ANNOTATION]: secret };
  return manifest;
}

/** What deploy/kubernetes leaves to the application's image. */
function databaseEnvironment(way: Way, secret: string, { host, port, dbname }: DatabaseAddress): EnvironmentVariable[] {
  const values: Record<string, string> = { PGHOST: host, PGPORT: String(port), PGDATABASE: dbname };
  if (way === 'init-container') values['DATABASE_CREDENTIALS_DIRECTORY'] = `/var/run/secrets/${secret}`;
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

/** Gives an environment variable a fixed value, which a Deployment that reads it from a Secret should not have. */
export function hardCode({ spec }: DeploymentManifest, name: string, value: string): void {
  for (const container of spec.template.spec.containers) {
    container.env = container.env?.map((variable) => (variable.name === name ? { name, value } : variable));
  }
}

/** As one text that can be applied. */
export function asText(manifests: object[]): string {
  return manifests.map((manifest) => JSON.stringify(manifest)).join('\n---\n');
}

async function read(file: string, names: Record<string, string>): Promise<object[]> {
  let text = await readFile(projectFile('deploy', 'kubernetes', ...file.split('/')), 'utf8');
  for (const [there, here] of Object.entries(names)) text = text.replaceAll(there, here);
  return parseAllDocuments(text).map((document) => document.toJS() as object);
}
