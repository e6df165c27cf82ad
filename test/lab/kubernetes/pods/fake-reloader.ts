import { createHash } from 'node:crypto';
import { callApi, type ApiAccess } from '../api';
import { watchObjects } from '../watch-objects';

/** The annotation of a workload that names the Secrets whose change restarts it. */
const ANNOTATION = 'secret.reloader.stakater.com/reload';

interface SecretObject {
  metadata: { name: string };
  data?: Record<string, string>;
}

interface DeploymentObject {
  metadata: { name: string; annotations?: Record<string, string> };
  spec: { template: { spec: { containers: { name: string }[] } } };
}

/**
 * In place of Stakater Reloader, for the Deployments of one namespace: when a Secret's data changes, each Deployment whose annotation
 * names it gets the environment variable `STAKATER_{SECRET}_SECRET` with a SHA-1 digest of the data, which makes its pods start anew
 * (Reloader's documentation, 'How it works', the strategy `env-vars`).
 *
 * @returns ends it
 */
export function startFakeReloader(access: ApiAccess, namespace: string): () => Promise<void> {
  const digests = new Map<string, string>();
  let last = Promise.resolve();

  async function reload(secret: string, digest: string): Promise<void> {
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments`;
    const deployments = await callApi<{ items: DeploymentObject[] }>(access, 'GET', path);
    for (const { metadata, spec } of deployments?.items ?? []) {
      const secrets = metadata.annotations?.[ANNOTATION]?.split(',').map((name) => name.trim());
      const [container] = spec.template.spec.containers;
      if (!secrets?.includes(secret) || container === undefined) continue;
      const env = [{ name: variableFor(secret), value: digest }];
      const patch = { spec: { template: { spec: { containers: [{ name: container.name, env }] } } } };
      await callApi(access, 'PATCH', `${path}/${metadata.name}`, patch, 'application/strategic-merge-patch+json');
    }
  }

  const stopWatch = watchObjects<SecretObject>(access, `/api/v1/namespaces/${namespace}/secrets`, (secrets) => {
    for (const [name, { data = {} }] of secrets) {
      const digest = digestOf(data);
      const before = digests.get(name);
      digests.set(name, digest);
      if (before === undefined || before === digest) continue;
      last = last.then(() => reload(name, digest));
      last.catch(() => undefined);
    }
  });
  return async () => {
    await stopWatch();
    await last.catch(() => undefined);
  };
}

function variableFor(secret: string): string {
  return `STAKATER_${secret.toUpperCase().replace(/[^A-Z0-9]+/g, '_')}_SECRET`;
}

function digestOf(data: Record<string, string>): string {
  const entries = Object.entries(data).map(([key, value]) => `${key}=${Buffer.from(value, 'base64').toString('utf8')}`);
  return createHash('sha1').update(entries.sort().join(';')).digest('hex');
}
