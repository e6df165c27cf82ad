import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort, LOOPBACK } from '../../ports';
import { startProcess } from '../../processes';
import { projectFile } from '../../project';
import { callApi, type ApiAccess } from '../api';
import { environmentOf, neededSecrets, runningStatus, type Container, type PodObject } from './pod';
import { projectSecret } from './secret-volume';

/** What all pods run, whatever their image. */
const APPLICATION = projectFile('dist', 'test', 'lab', 'kubernetes', 'pods', 'application.js');

const LOOK_AGAIN_AFTER_MS = 50;
const PROBE_EVERY_MS = 200;
const PROBE_ANSWERED_WITHIN_MS = 1_000;
/** A Service may send requests for a moment after the pod was told to end; a real pod would have a `preStop` that waits. */
const ENDS_AFTER_MS = 300;

/** The data of the namespace's Secrets by name, in base64. */
export type Secrets = ReadonlyMap<string, Record<string, string>>;

/** One pod, as a process of this machine. */
export interface PodProcess {
  pod: PodObject;
  /** Where it answers; `undefined` while it is not ready. */
  readyPort(): number | undefined;
  /** Brings changed Secrets into its volumes. */
  secretsChanged(): void;
  /** Ends it, after what it is answering. */
  stop(): Promise<void>;
}

/**
 * Runs a pod: waits for its Secrets, mounts them, runs the init containers, starts the application with the environment of the first
 * container, and goes on asking its readiness probe and reporting that to the API server.
 *
 * @param folder for its volumes; gone when it has ended
 */
export function startPodProcess(access: ApiAccess, pod: PodObject, secrets: () => Secrets, folder: string): PodProcess {
  const stopping = new AbortController();
  const { signal } = stopping;
  const startedAt = new Date().toISOString();
  let readyPort: number | undefined;
  let projected: Promise<void> = Promise.resolve();
  const inVolumes = new Map<string, string>();

  const folderOf = (volume: string) => join(folder, volume);
  const translate = (text: string): string =>
    [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]
      .flatMap(({ volumeMounts = [] }) => volumeMounts)
      .reduce((translated, { name, mountPath }) => translated.replaceAll(mountPath, folderOf(name)), text);

  async function project(): Promise<void> {
    for (const { name, secret } of pod.spec.volumes ?? []) {
      const data = secret && secrets().get(secret.secretName);
      const text = JSON.stringify(data);
      if (!data || inVolumes.get(name) === text) continue;
      await projectSecret(folderOf(name), data);
      inVolumes.set(name, text);
    }
  }
  const secretsChanged = (): void => {
    if (signal.aborted) return;
    projected = projected.then(project);
    // A folder that is going away.
    projected.catch(() => undefined);
  };

  const environment = (container: Container): Record<string, string> => {
    const read = (secret: string, key: string) => {
      const value = secrets().get(secret)?.[key];
      return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8');
    };
    return { PATH: process.env.PATH ?? '', HOSTNAME: pod.metadata.name, ...environmentOf(container, read, translate) };
  };

  async function runInitContainer(container: Container): Promise<void> {
    const [command = 'true', ...words] = (container.command ?? []).map(translate);
    const running = startProcess(command, words, { env: environment(container) });
    signal.addEventListener('abort', () => void running.end('SIGKILL'), { once: true });
    await running.exited;
  }

  async function report(isReady: boolean): Promise<void> {
    const { namespace, name } = pod.metadata;
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/status`;
    await callApi(access, 'PATCH', path, { status: runningStatus(pod, isReady, startedAt) });
  }

  async function probe(port: number, path: string): Promise<void> {
    while (!signal.aborted) {
      const isReady = await answers(`http://${LOOPBACK}:${port}${path}`);
      if (signal.aborted) return;
      if (isReady !== (readyPort !== undefined)) {
        // As with a real one, it gets requests only after the API server knows.
        await report(isReady).then(
          () => (readyPort = isReady ? port : undefined),
          () => undefined,
        );
      }
      await pause(PROBE_EVERY_MS, signal);
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted && !neededSecrets(pod).every((name) => secrets().has(name))) {
      await pause(LOOK_AGAIN_AFTER_MS, signal);
    }
    secretsChanged();
    await projected;
    for (const container of pod.spec.initContainers ?? []) await runInitContainer(container);
    const [container] = pod.spec.containers;
    if (signal.aborted || container === undefined) return;
    const port = await freePort();
    const running = startProcess(process.execPath, [APPLICATION], {
      env: { ...environment(container), PORT: String(port) },
    });
    await report(false).catch(() => undefined);
    await probe(port, container.readinessProbe?.httpGet?.path ?? '/');
    await delay(ENDS_AFTER_MS);
    await running.end('SIGTERM');
  }

  const ran = run();
  return {
    pod,
    readyPort: () => (signal.aborted ? undefined : readyPort),
    secretsChanged,
    async stop() {
      stopping.abort();
      await ran;
      await projected.catch(() => undefined);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(PROBE_ANSWERED_WITHIN_MS);
    const { ok, body } = await fetch(url, { signal, headers: { connection: 'close' } });
    await body?.cancel();
    return ok;
  } catch {
    return false;
  }
}

/** Shorter when the signal comes first. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}
