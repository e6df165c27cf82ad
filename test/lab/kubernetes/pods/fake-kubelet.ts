import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { watchPath } from '../../watcher';
import type { ApiAccess } from '../api';
import { watchObjects } from '../watch-objects';
import { startFakeService, type FakeService } from './fake-service';
import type { PodObject } from './pod';
import { startPodProcess, type PodProcess } from './pod-process';

/** Pods with this label are left alone by kwok (stages.yaml). */
export const RUNS_LABEL = 'keyturn.test/runs';

/**
 * In place of a kubelet, which would need a container runtime: runs the pods of a namespace that have the label {@link RUNS_LABEL} as processes
 * of this machine. All of them run the same application; what is in the pod is real: its environment and volumes come from the Secrets in
 * the cluster, its init containers are run, and it is ready when its readiness probe is answered.
 */
export interface FakeKubelet {
  /** The names of the pods that are ready and have a label `app.kubernetes.io/name` of that value. */
  readyPods(app: string): string[];
  /** One address for those pods, as a Service would have. */
  serve(app: string): Promise<FakeService>;
  /** Ends all pods' processes; the pods themselves stay in the cluster. */
  stop(): Promise<void>;
}

interface SecretObject {
  metadata: { name: string };
  data?: Record<string, string>;
}

/** Starts one for a namespace. */
export async function startFakeKubelet(access: ApiAccess, namespace: string): Promise<FakeKubelet> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-pods-'));
  const removeFolder = watchPath(folder);
  const running = new Map<string, PodProcess>();
  const ending = new Set<Promise<void>>();
  const services: FakeService[] = [];
  let secrets: ReadonlyMap<string, Record<string, string>> = new Map();

  const end = (uid: string, pod: PodProcess): void => {
    running.delete(uid);
    const ended: Promise<void> = pod.stop().finally(() => ending.delete(ended));
    ending.add(ended);
  };
  const root = `/api/v1/namespaces/${namespace}`;
  const stopWatches = [
    watchObjects<SecretObject>(access, `${root}/secrets`, (objects) => {
      secrets = new Map([...objects].map(([name, { data }]) => [name, data ?? {}]));
      for (const pod of running.values()) pod.secretsChanged();
    }),
    watchObjects<PodObject>(access, `${root}/pods?labelSelector=${encodeURIComponent(RUNS_LABEL)}`, (pods) => {
      const wanted = [...pods.values()].filter(
        ({ metadata, spec }) => metadata.deletionTimestamp === undefined && spec.nodeName !== undefined,
      );
      for (const pod of wanted) {
        const { uid } = pod.metadata;
        if (!running.has(uid))
          running.set(
            uid,
            startPodProcess(access, pod, () => secrets, join(folder, uid)),
          );
      }
      const uids = wanted.map(({ metadata }) => metadata.uid);
      for (const [uid, pod] of running) if (!uids.includes(uid)) end(uid, pod);
    }),
  ];
  const ready = (app: string): PodProcess[] =>
    [...running.values()].filter(
      ({ pod, readyPort }) => readyPort() !== undefined && pod.metadata.labels?.['app.kubernetes.io/name'] === app,
    );

  return {
    readyPods: (app) => ready(app).map(({ pod }) => pod.metadata.name),
    async serve(app) {
      const service = await startFakeService(() => ready(app).flatMap(({ readyPort }) => readyPort() ?? []));
      services.push(service);
      return service;
    },
    async stop() {
      await Promise.all(stopWatches.map((stop) => stop()));
      for (const [uid, pod] of running) end(uid, pod);
      await Promise.all([...ending, ...services.map((service) => service.stop())]);
      await removeFolder();
    },
  };
}
