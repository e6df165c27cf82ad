import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PartUnavailable, reportFor, secondsSince, type Report } from '../part';
import { watchPath } from '../watcher';
import { writeKubeconfig } from './access-files';
import { applyManifests, callApi } from './api';
import { controlPlaneProgram, KUBERNETES_VERSION } from './build';
import { PartNotReady, startControlPlane, type ControlPlane } from './control-plane';

/**
 * A cluster: a real control plane, and kwok in place of the kubelets, so that pods become ready but no container runs. The template of a
 * pod can say otherwise; see stages.yaml.
 */
export interface Kubernetes {
  /** `https://127.0.0.1:port` */
  server: string;
  /** The path of the administrator's kubeconfig. Its context is `lab`, as in all the others. */
  kubeconfig: string;
  /**
   * Writes a kubeconfig for a ServiceAccount that exists, with a token for a day.
   *
   * @returns its path; its default namespace is the ServiceAccount's
   */
  kubeconfigFor(serviceAccount: string, namespace: string): Promise<string>;
  /**
   * Applies manifests, one after the other, server-side and with force; those without a namespace go to `default`. Returns when the
   * custom resources that they define can be used.
   *
   * @param manifests YAML, one document or several
   */
  apply(manifests: string): Promise<void>;
  /**
   * A request of the administrator.
   *
   * @param path from the root, such as `/apis/apps/v1/namespaces/dev/deployments/api`
   * @param body as JSON; for PATCH a merge patch
   * @returns the answer; `undefined` when there is no such object
   * @throws Error with the message of the API server
   */
  request<T>(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: object): Promise<T | undefined>;
  /** Ends the API server at once, as a crash would; everything else runs on. */
  stopApiServer(): Promise<void>;
  /**
   * Starts it again after {@link stopApiServer}, on the same port and with everything it held; returns when it is ready. Its controllers
   * start anew. External Secrets Operator notices by itself, which may take a minute.
   */
  startApiServer(): Promise<void>;
  /** Ends the cluster and removes all its files, the kubeconfigs too. */
  stop(): Promise<void>;
}

const ATTEMPTS = 3;
const DAY_S = 24 * 60 * 60;

/**
 * Starts an empty cluster of its own on free loopback ports. The first one on a machine is built (7 minutes of processor time).
 *
 * @throws {PartUnavailable}
 */
export async function startKubernetes(report: Report): Promise<Kubernetes> {
  const say = reportFor('kubernetes', report);
  const program = await controlPlaneProgram(report);
  const startedAt = Date.now();
  for (let attempt = 1; ; attempt += 1) {
    const folder = await mkdtemp(join(tmpdir(), 'keyturn-kubernetes-'));
    const removeFolder = watchPath(folder);
    try {
      const cluster = await runningKubernetes(await startControlPlane(program, folder), folder, removeFolder);
      say(`ready on ${cluster.server} (Kubernetes ${KUBERNETES_VERSION}, ${secondsSince(startedAt)})`);
      return cluster;
    } catch (error) {
      await removeFolder();
      if (!(error instanceof PartNotReady)) throw error;
      if (attempt === ATTEMPTS || !/address already in use/i.test(error.output)) {
        throw new PartUnavailable('Kubernetes', error.message, `rm -r ${program}, so that it is built again`);
      }
    }
  }
}

async function runningKubernetes(
  { access, stopApiServer, startApiServer, stop }: ControlPlane,
  folder: string,
  removeFolder: () => Promise<void>,
): Promise<Kubernetes> {
  return {
    server: access.server,
    kubeconfig: await writeKubeconfig(join(folder, 'admin.kubeconfig'), access),
    async kubeconfigFor(serviceAccount, namespace) {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`;
      const asked = { spec: { expirationSeconds: DAY_S } };
      const answer = await callApi<{ status: { token: string } }>(access, 'POST', path, asked);
      if (answer === undefined) throw new Error(`There is no ServiceAccount ${serviceAccount} in ${namespace}.`);
      const file = join(folder, `${namespace}.${serviceAccount}.kubeconfig`);
      return writeKubeconfig(file, { ...access, token: answer.status.token }, namespace);
    },
    apply: (manifests) => applyManifests(access, manifests),
    request: (method, path, body) => callApi(access, method, path, body),
    stopApiServer,
    startApiServer,
    async stop() {
      await stop();
      await removeFolder();
    },
  };
}
