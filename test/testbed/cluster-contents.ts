import type { Kubernetes } from '../lab/kubernetes/kubernetes';
import type { Place } from './scan';

interface Resource {
  name: string;
  verbs: string[];
}

interface Found {
  metadata: { name: string; namespace?: string };
  data?: Record<string, string>;
}

/** All that a cluster holds of every kind, with its managedFields: the data of its Secrets apart from everything else. */
export async function contentsOf(cluster: Kubernetes): Promise<{ secretData: Place[]; everythingElse: Place[] }> {
  const contents = { secretData: [] as Place[], everythingElse: [] as Place[] };
  for (const root of await groupVersions(cluster)) {
    const { resources = [] } = (await cluster.request<{ resources?: Resource[] }>('GET', root)) ?? {};
    for (const { name: kind, verbs } of resources) {
      if (!verbs.includes('list') || kind.includes('/')) continue;
      const { items = [] } = (await cluster.request<{ items?: Found[] }>('GET', `${root}/${kind}`)) ?? {};
      for (const { data, ...object } of items) {
        const name = `${kind} ${object.metadata.namespace ?? ''}/${object.metadata.name}`;
        const isSecret = root === '/api/v1' && kind === 'secrets';
        contents.everythingElse.push({ name, text: JSON.stringify(isSecret ? object : { ...object, data }) });
        if (isSecret) contents.secretData.push({ name, text: JSON.stringify(data ?? {}) });
      }
    }
  }
  return contents;
}

async function groupVersions(cluster: Kubernetes): Promise<string[]> {
  const found = await cluster.request<{ groups: { preferredVersion: { groupVersion: string } }[] }>('GET', '/apis');
  return ['/api/v1', ...(found?.groups ?? []).map(({ preferredVersion }) => `/apis/${preferredVersion.groupVersion}`)];
}
