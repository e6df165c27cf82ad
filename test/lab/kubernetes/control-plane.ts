import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePorts, LOOPBACK } from '../ports';
import { lastLines, startProcess, type RunningProcess } from '../processes';
import { projectFile } from '../project';
import { makeAccessFiles, writeKubeconfig, type AccessFiles, type User } from './access-files';
import { callApi, isReady, type ApiAccess } from './api';

/** The running parts of a control plane, whose state is in one folder. */
export interface ControlPlane {
  access: ApiAccess;
  /** Ends the API server at once, as a crash would. */
  stopApiServer(): Promise<void>;
  /** Starts it again on the same port, and its controllers anew; returns when it is ready. */
  startApiServer(): Promise<void>;
  stop(): Promise<void>;
}

type Parts = Map<string, RunningProcess>;

const READY_WITHIN_MS = 90_000;
const NODE = 'lab';

/** A part of the control plane that ended or is not ready in time, with its last words. */
export class PartNotReady extends Error {
  override readonly name = 'PartNotReady';
  constructor(
    part: string,
    readonly output: string,
  ) {
    super(`${part} is not ready: ${lastLines(output)}`);
  }
}

/**
 * Starts etcd, the API server, the controller manager, the scheduler and kwok with one node, on free loopback ports. If one does not
 * start, none is left running.
 *
 * @param program is all of them
 * @throws {PartNotReady}
 */
export async function startControlPlane(program: string, folder: string): Promise<ControlPlane> {
  const [etcdPort = 0, peerPort = 0, apiPort = 0] = await freePorts(3);
  const files = await makeAccessFiles(folder);
  const parts: Parts = new Map();
  const start = (part: string, flags: string[]): RunningProcess => {
    // Nothing of the surrounding environment, least of all another cluster or account, is their business.
    const env = { PATH: process.env.PATH, HOME: folder, TMPDIR: folder, KWOK_WORKDIR: join(folder, 'kwok') };
    const child = startProcess(program, [part, ...flags], { cwd: folder, env });
    parts.set(part, child);
    return child;
  };
  const stop = async (...names: string[]): Promise<void> => {
    await Promise.all(names.map(async (name) => parts.get(name)?.end('SIGKILL')));
  };

  const startApiServer = (): Promise<ApiAccess> => {
    start('kube-apiserver', apiServerFlags(folder, files, etcdPort, apiPort));
    return accessTo(parts, folder, apiPort, files.tokens.admin);
  };
  const startControllers = async (access: ApiAccess): Promise<void> => {
    for (const [part, { user, flags }] of Object.entries(controllers(folder, files))) {
      const name = join(folder, `${part}.kubeconfig`);
      const kubeconfig = await writeKubeconfig(name, { ...access, token: files.tokens[user] });
      start(part, [`--kubeconfig=${kubeconfig}`, ...flags]);
    }
  };

  try {
    start('etcd', etcdFlags(folder, etcdPort, peerPort));
    const access = await startApiServer();
    await callApi(access, 'POST', '/api/v1/nodes', node());
    await startControllers(access);
    await canRunPods(access, parts);
    return {
      access,
      stop: () => stop(...parts.keys()),
      stopApiServer: () => stop('kube-apiserver'),
      async startApiServer() {
        if (parts.get('kube-apiserver')?.isRunning()) throw new Error('The API server is running; stop it first.');
        await startApiServer();
        // Elsewhere they restart as soon as they cannot renew their leases. Left alone they would come back only after a minute or more.
        await stop(...Object.keys(controllers(folder, files)));
        await startControllers(access);
      },
    };
  } catch (error) {
    await stop(...parts.keys());
    throw error;
  }
}

function etcdFlags(folder: string, clientPort: number, peerPort: number): string[] {
  const client = `http://${LOOPBACK}:${clientPort}`;
  const peer = `http://${LOOPBACK}:${peerPort}`;
  return [
    ...[`--data-dir=${join(folder, 'etcd')}`, '--unsafe-no-fsync', '--log-level=warn'],
    ...[`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`],
    ...[`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`, `--initial-cluster=default=${peer}`],
  ];
}

/** Without a certificate of its own the API server makes one, for the address it binds to, and an authority to verify it with. */
function apiServerFlags(folder: string, files: AccessFiles, etcdPort: number, port: number): string[] {
  return [
    `--etcd-servers=http://${LOOPBACK}:${etcdPort}`,
    ...[`--bind-address=${LOOPBACK}`, `--advertise-address=${LOOPBACK}`, `--secure-port=${port}`],
    `--cert-dir=${join(folder, 'certificates')}`,
    // The endpoints of the service `kubernetes` must not be a loopback address.
    '--endpoint-reconciler-type=none',
    '--service-cluster-ip-range=10.0.0.0/24',
    ...['--authorization-mode=RBAC', `--token-auth-file=${files.tokenFile}`],
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-signing-key-file=${files.signingKeyFile}`,
    `--service-account-key-file=${files.verifyingKeyFile}`,
    '--profiling=false',
  ];
}

/** Those that work with the API server, and as whom. */
function controllers(folder: string, files: AccessFiles): Record<string, { user: User; flags: string[] }> {
  const alone = ['--leader-elect=false', '--secure-port=0', '--profiling=false'];
  return {
    'kube-controller-manager': {
      user: 'system:kube-controller-manager',
      flags: [
        ...alone,
        '--use-service-account-credentials=true',
        `--service-account-private-key-file=${files.signingKeyFile}`,
        `--root-ca-file=${certificateFile(folder)}`,
        // Nothing renews the node's lease, which a kwok that starts anew would have to wait for.
        '--node-monitor-grace-period=240h',
      ],
    },
    'kube-scheduler': { user: 'system:kube-scheduler', flags: alone },
    kwok: {
      user: 'kwok',
      flags: [
        `--config=${projectFile('test', 'lab', 'kubernetes', 'stages.yaml')}`,
        ...['--manage-all-nodes=true', `--node-ip=${LOOPBACK}`, '--node-port=0', '--node-lease-duration-seconds=0'],
      ],
    },
  };
}

function node(): object {
  const resources = { cpu: '256', memory: '1Ti', pods: '1000' };
  return {
    metadata: { name: NODE, labels: { 'kubernetes.io/hostname': NODE, 'kubernetes.io/os': 'linux' } },
    status: { allocatable: resources, capacity: resources },
  };
}

function certificateFile(folder: string): string {
  return join(folder, 'certificates', 'apiserver.crt');
}

/** Waits for an API server that is starting. */
async function accessTo(parts: Parts, folder: string, port: number, token: string): Promise<ApiAccess> {
  const deadline = Date.now() + READY_WITHIN_MS;
  for (;;) {
    const ca = await readFile(certificateFile(folder), 'utf8').catch(() => undefined);
    if (ca !== undefined) {
      const access = { server: `https://${LOOPBACK}:${port}`, ca, token };
      if (await isReady(access)) return access;
    }
    mustBeRunning(parts, ['etcd', 'kube-apiserver'], deadline);
    await delay(100);
  }
}

/** Waits until a pod that is created now would run: its ServiceAccount is there, and a node that takes pods. */
async function canRunPods(access: ApiAccess, parts: Parts): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS;
  for (;;) {
    const account = await callApi(access, 'GET', '/api/v1/namespaces/default/serviceaccounts/default');
    const found = await callApi<NodeObject>(access, 'GET', `/api/v1/nodes/${NODE}`);
    const ready = found?.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
    if (account !== undefined && ready && !found?.spec?.taints?.length) return;

    mustBeRunning(parts, [...parts.keys()], deadline);
    await delay(100);
  }
}

/** @throws {PartNotReady} about the first of them that has ended; after the deadline about the last. */
function mustBeRunning(parts: Parts, names: string[], deadline: number): void {
  const ended = names.find((name) => !parts.get(name)?.isRunning());
  const late = Date.now() > deadline ? names.at(-1) : undefined;
  const failed = ended ?? late;
  if (failed !== undefined) throw new PartNotReady(failed, parts.get(failed)?.output() ?? '');
}

interface NodeObject {
  spec?: { taints?: unknown[] };
  status: { conditions?: { type: string; status: string }[] };
}
