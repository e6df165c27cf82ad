import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { AuditEntry, AuditLog } from '../../src/activities/audit/audit-log';
import { createActivityBoundary } from '../../src/activities/boundary/interceptor';
import { createKubernetesClusters } from '../../src/activities/delivery/kubernetes/clusters';
import type { KubernetesClusters } from '../../src/activities/delivery/kubernetes/clusters';
import type { BroughtBack, KubernetesDependent, SeenBefore, Workload } from '../../src/rotation/dependents';
import { watchProcessGroup } from '../lab/watcher';
import { projectFile } from '../lab/project';

/** Whose versions are delivered, when a test does not say it. */
export const SECRET_ID = 'test/secret';

type RestartAbout = Parameters<KubernetesClusters['restart']>[3];

/** One delivery to Kubernetes, as an activity would make it. */
interface Delivery {
  dependent: KubernetesDependent;
  versionId: string;
  /** To sync; absent to restart `workload`, or to look. */
  text?: string;
  back?: BroughtBack;
  seen?: SeenBefore;
  /** The value of the version that is taken back. */
  undone?: string;
  workload?: Workload;
  about?: RestartAbout;
  /** To look. */
  mustBeAvailable?: boolean;
  /** When the activity was scheduled first, in milliseconds since the epoch; now when absent. */
  scheduledAt?: number;
  /** Which attempt of the activity it is; the first when absent. */
  attempt?: number;
}

export interface Delivered {
  /** Absent when it succeeded. */
  failure?: { type: string; message: string; nonRetryable: boolean };
  /** What it was answered, when it succeeded. */
  result?: object;
  /** `PATCH deployments`, in the order in which the calls ended. */
  calls: string[];
  tookMs: number;
}

/** A process that delivers to Kubernetes with the product's own code; jest cannot load the client library, an ES module, itself. */
export interface Deliverer {
  look(dependent: KubernetesDependent, mustBeAvailable: boolean): Promise<Delivered>;
  sync(
    dependent: KubernetesDependent,
    versionId: string,
    text: string,
    more?: Pick<Delivery, 'back' | 'seen' | 'undone' | 'scheduledAt' | 'attempt'>,
  ): Promise<Delivered>;
  restart(
    dependent: KubernetesDependent,
    workload: Workload,
    versionId: string,
    about?: Partial<RestartAbout>,
  ): Promise<Delivered>;
  /** Ends it in the midst of what it does; what it has not answered yet rejects. */
  kill(): Promise<void>;
}

interface Question extends Delivery {
  id: number;
}

interface Answer extends Delivered {
  id: number;
}

/** Starts one that uses a kubeconfig. */
export function startDeliverer(kubeconfig: string): Deliverer {
  const child = fork(projectFile('dist', 'test', 'testbed', 'kubernetes-deliverer.js'), {
    env: { PATH: process.env.PATH, HOME: '/nonexistent', KUBECONFIG: kubeconfig },
    detached: true,
    execArgv: [],
  });
  // One for each delivery under way.
  child.setMaxListeners(0);
  const unwatch = watchProcessGroup(child.pid ?? 0);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let lastId = 0;
  const ask = (delivery: Delivery) => answerTo(child, { ...delivery, id: ++lastId });
  return {
    look: (dependent, mustBeAvailable) => ask({ dependent, versionId: '', mustBeAvailable }),
    sync: (dependent, versionId, text, more) => ask({ dependent, versionId, text, ...more }),
    restart: (dependent, workload, versionId, about) =>
      ask({ dependent, versionId, workload, about: { secretId: SECRET_ID, ...about } }),
    async kill() {
      child.kill('SIGKILL');
      await exited;
      unwatch();
    },
  };
}

function answerTo(child: ChildProcess, question: Question): Promise<Delivered> {
  return new Promise((resolve, reject) => {
    const isOver = () => {
      child.off('message', onMessage);
      child.off('exit', onExit);
    };
    const onExit = () => {
      isOver();
      reject(new Error('the deliverer has ended'));
    };
    const onMessage = (answer: Answer) => {
      if (answer.id !== question.id) return;
      isOver();
      resolve(answer);
    };
    child.on('message', onMessage);
    child.on('exit', onExit);
    child.send(question);
  });
}

async function deliver(clusters: ReturnType<typeof createKubernetesClusters>, delivery: Delivery): Promise<Delivered> {
  const { dependent, versionId, text, back, seen, undone, workload, about, mustBeAvailable } = delivery;
  const { scheduledAt = Date.now(), attempt = 1 } = delivery;
  const entries: AuditEntry[] = [];
  const audit = { append: async (entry: AuditEntry) => void entries.push(entry) } as Partial<AuditLog> as AuditLog;
  const environment = new MockActivityEnvironment(
    { scheduledTimestampMs: scheduledAt, attempt },
    { interceptors: [createActivityBoundary({ audit })], logger: new DefaultLogger('ERROR') },
  );
  const started = performance.now();
  let failure: Delivered['failure'];
  let result: object | undefined;
  try {
    result = await environment.run(
      (_input: object): Promise<object> => {
        if (mustBeAvailable !== undefined) return clusters.look(dependent, mustBeAvailable);
        if (workload && about) return clusters.restart(dependent, workload, versionId, about);
        const findUndone = () => Promise.resolve(undone);
        return clusters.sync(dependent, versionId, text ?? '', { back, seen, findUndone });
      },
      { secretId: SECRET_ID, step: 'deliver' },
    );
  } catch (error) {
    const { type, message, nonRetryable } = error as ApplicationFailure;
    failure = { type: type ?? 'none', message, nonRetryable: nonRetryable ?? false };
  }
  const calls = entries.flatMap((entry) => entry.outsideCalls ?? []).map(({ operation }) => operation);
  return { failure, result, calls, tookMs: performance.now() - started };
}

if (require.main === module) {
  const clusters = createKubernetesClusters();
  process.on('message', (question: Question) => {
    void deliver(clusters, question).then((delivered) => process.send?.({ ...delivered, id: question.id }));
  });
}
