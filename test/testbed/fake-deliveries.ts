import { randomBytes } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type {
  DeployInput,
  LookAtDependentsInput,
  RestartInput,
  SeenDependents,
  SyncInput,
} from '../../src/activities/delivery/activities';
import type { RestartResult } from '../../src/activities/delivery/kubernetes/clusters';
import type { SyncResult } from '../../src/activities/delivery/kubernetes/sync-result';
import type { StepInput } from '../../src/activities/step-input';
import { secretPlace } from '../../src/rotation/dependents';
import type { DeliveryPlan, Dependent } from '../../src/rotation/dependents';
import { rotationWorkflowId } from '../../src/rotation/names';
import { APP_SECRET_POLICY } from '../../src/rotation/password-policy';
import type { AppSecretPlan } from '../../src/rotation/plan';
import type { SecretInspection } from '../../src/rotation/types';
import { builtWorkflowBundle } from '../../src/runtime/workflow-bundles';

/** What a script says of one activity of a delivery: it returns, waits, or throws what the real one would. */
interface FakeOutside {
  syncToKubernetes?(input: SyncInput): Promise<Partial<SyncResult> | void>;
  restartWorkload?(input: RestartInput): Promise<void>;
  deployToEcs?(input: DeployInput): Promise<void>;
}

interface FakeDelivery {
  dependents: Dependent[];
  delivery?: Partial<DeliveryPlan>;
  /** The secret as it is found; with {@link OLD} as AWSCURRENT when absent. */
  found?: SecretInspection;
  rollbackMs?: number;
  workflow?: 'rotateAppSecret' | 'deliverSecret';
  outside: FakeOutside;
}

/**
 * Rotations of app secrets by the workflows as they are built, on the lab's Temporal, whose activities follow a script: what is out of
 * reach for a day, or fails at one moment of several, cannot be had.
 */
export interface FakeDeliveries {
  start(delivery: FakeDelivery): Promise<WorkflowHandleWithFirstExecutionRunId>;
  close(): Promise<void>;
}

/** The version that is AWSCURRENT before. */
export const OLD = 'the-version-before';

export async function openFakeDeliveries(): Promise<FakeDeliveries> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const address = process.env['TEMPORAL_ADDRESS'];
  const namespace = process.env['TEMPORAL_NAMESPACE'];
  const environment = `t${randomBytes(4).toString('hex')}`;
  const taskQueue = `keyturn-${environment}`;
  const scripts = new Map<string, FakeDelivery>();
  const handles: WorkflowHandleWithFirstExecutionRunId[] = [];
  const [connection, native] = await Promise.all([
    Connection.connect({ address }),
    NativeConnection.connect({ address }),
  ]);
  const { workflow } = new Client({ connection, namespace });
  const worker = await Worker.create({
    connection: native,
    namespace,
    taskQueue,
    workflowBundle: builtWorkflowBundle('plain'),
    activities: fakeActivities(environment, ({ secretId }) => scripts.get(secretId)),
  });
  const running = worker.run();
  return {
    async start(delivery) {
      const secret = `secret-${handles.length}`;
      scripts.set(`${environment}/${secret}`, delivery);
      const handle = await workflow.start(delivery.workflow ?? 'rotateAppSecret', {
        taskQueue,
        workflowId: rotationWorkflowId(environment, secret),
        args: [{ environment, secret }],
      });
      handles.push(handle);
      return handle;
    },
    async close() {
      for (const handle of handles) await handle.terminate().catch(() => undefined);
      worker.shutdown();
      await running;
      await native.close();
      await connection.close();
      await Runtime.instance().shutdown();
    },
  };
}

function fakeActivities(environment: string, scriptOf: (input: StepInput) => FakeDelivery | undefined) {
  const nothing = () => Promise.resolve();
  const outsideOf = (input: StepInput) => scriptOf(input)?.outside ?? {};
  return {
    loadPlan: (input: StepInput) => Promise.resolve(planOf(environment, input.secretId, scriptOf(input))),
    inspectSecret: (input: StepInput): Promise<SecretInspection> =>
      Promise.resolve(scriptOf(input)?.found ?? { exists: true, labels: { current: OLD } }),
    lookAtDependents: ({ dependents }: LookAtDependentsInput): Promise<SeenDependents> => {
      const places = dependents.flatMap((dependent) => (dependent.kind === 'kubernetes' ? secretPlace(dependent) : []));
      const resourceVersions = Object.fromEntries(places.map((place) => [place, 'seen']));
      return Promise.resolve({ resourceVersions, revisions: {} });
    },
    createCandidate: nothing,
    moveLabels: nothing,
    discardCreatedSecret: nothing,
    recordOutcome: nothing,
    syncToKubernetes: async (input: SyncInput): Promise<SyncResult> => ({
      untouched: false,
      came: true,
      ...(await outsideOf(input).syncToKubernetes?.(input)),
    }),
    restartWorkload: async (input: RestartInput): Promise<RestartResult> => {
      await outsideOf(input).restartWorkload?.(input);
      return { gone: false };
    },
    deployToEcs: async (input: DeployInput): Promise<void> => outsideOf(input).deployToEcs?.(input),
  };
}

function planOf(environment: string, secretId: string, script?: FakeDelivery): AppSecretPlan {
  return {
    type: 'app-secret',
    environment,
    secret: secretId.slice(environment.length + 1),
    secretId,
    password: APP_SECRET_POLICY,
    dependents: script?.dependents ?? [],
    delivery: { inOrder: false, maxRestartsAtOnce: 10, ...script?.delivery },
    notifications: [],
    timeouts: { stepMs: 60_000, rollbackMs: script?.rollbackMs ?? 20 * 60_000 },
  };
}
