import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { AuditEntry, AuditLog } from '../../src/activities/audit/audit-log';
import { createActivityBoundary } from '../../src/activities/boundary/interceptor';
import { createKubernetesClusters } from '../../src/activities/delivery/kubernetes/clusters';
import type { KubernetesDependent, Workload } from '../../src/rotation/dependents';
import { watchProcessGroup } from '../lab/watcher';
import { projectFile } from '../lab/project';

/** One delivery to Kubernetes, as an activity would make it. */
interface Delivery {
  dependent: KubernetesDependent;
  versionId: string;
  /** To sync; absent to restart `workload`. */
  text?: string;
  workload?: Workload;
  /** When the activity was scheduled first, in milliseconds since the epoch; now when absent. */
  scheduledAt?: number;
}

export interface Delivered {
  /** Absent when it succeeded. */
  failure?: { type: string; message: string; nonRetryable: boolean };
  /** `PATCH deployments`, in the order in which the calls ended. */
  calls: string[];
  tookMs: number;
}

/** A process that delivers to Kubernetes with the product's own code; jest cannot load the client library, an ES module, itself. */
export interface Deliverer {
  sync(dependent: KubernetesDependent, versionId: string, text: string, scheduledAt?: number): Promise<Delivered>;
  restart(dependent: KubernetesDependent, workload: Workload, versionId: string): Promise<Delivered>;
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
    sync: (dependent, versionId, text, scheduledAt) => ask({ dependent, versionId, text, scheduledAt }),
    restart: (dependent, workload, versionId) => ask({ dependent, versionId, workload }),
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

async function deliver(
  clusters: ReturnType<typeof createKubernetesClusters>,
  { dependent, versionId, text, workload, scheduledAt = Date.now() }: Delivery,
): Promise<Delivered> {
  const entries: AuditEntry[] = [];
  const audit = { append: async (entry: AuditEntry) => void entries.push(entry) } as Partial<AuditLog> as AuditLog;
  const environment = new MockActivityEnvironment(
    { scheduledTimestampMs: scheduledAt },
    { interceptors: [createActivityBoundary({ audit })], logger: new DefaultLogger('ERROR') },
  );
  const started = performance.now();
  let failure: Delivered['failure'];
  try {
    await environment.run(
      async (_input: object) => {
        if (workload) await clusters.restart(dependent, workload, versionId);
        else await clusters.sync(dependent, versionId, text ?? '');
      },
      { secretId: 'test/secret', step: 'deliver' },
    );
  } catch (error) {
    const { type, message, nonRetryable } = error as ApplicationFailure;
    failure = { type: type ?? 'none', message, nonRetryable: nonRetryable ?? false };
  }
  const calls = entries.flatMap((entry) => entry.outsideCalls ?? []).map(({ operation }) => operation);
  return { failure, calls, tookMs: performance.now() - started };
}

if (require.main === module) {
  const clusters = createKubernetesClusters();
  process.on('message', (question: Question) => {
    void deliver(clusters, question).then((delivered) => process.send?.({ ...delivered, id: question.id }));
  });
}
