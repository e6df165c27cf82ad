import { z } from 'zod';
import {
  RESTART_WAYS,
  SYNC_WAYS,
  WORKLOAD_KINDS,
  type SecretKey,
  type Workload,
  type WorkloadKind,
} from '../../rotation/dependents';
import { namespaceName, objectName, secretDataKey } from '../kubernetes-values';
import { nameOf } from '../problems';
import { duration, line, oneOf } from '../values';
import { onlyOneOf } from './choice';

const workloadKeys = {
  deployment: objectName('The name of a Deployment').optional(),
  statefulSet: objectName('The name of a StatefulSet').optional(),
  daemonSet: objectName('The name of a DaemonSet').optional(),
  rollout: objectName("The name of an Argo Rollouts' Rollout").optional(),
};

const WORKLOAD_KEYS = {
  Deployment: 'deployment',
  StatefulSet: 'statefulSet',
  DaemonSet: 'daemonSet',
  Rollout: 'rollout',
} as const satisfies Record<WorkloadKind, keyof typeof workloadKeys>;

function workloadOf(written: { [K in keyof typeof workloadKeys]?: string }): Workload[] {
  return WORKLOAD_KINDS.flatMap((kind) => {
    const name = written[WORKLOAD_KEYS[kind]];
    return name === undefined ? [] : [{ kind, name }];
  });
}

/** One workload of a service. */
export const workload = z.strictObject(workloadKeys).meta({ minProperties: 1, maxProperties: 1 });

/** One workload of a dependent, or the name of a service that stands for several. */
export const workloadOrService = z
  .strictObject({
    ...workloadKeys,
    service: line(
      'A name from the services of the environment, in place of the workloads that it stands for',
    ).optional(),
  })
  .meta({ minProperties: 1, maxProperties: 1 });

const serviceName = z
  .string()
  .regex(/^[\w.-]+$/, 'is not the name of a service: letters, digits and _ . - are allowed');

/** What several secrets may name in place of the same workloads. */
export const services = z
  .record(
    serviceName,
    z
      .array(workload.transform((written, context) => onlyOneOf(workloadOf(written), written, workloadKeys, context)))
      .min(1, 'must name at least one workload'),
  )
  .describe(
    'Workloads that use several secrets, in groups with a name: a secret names the group as "service: NAME" among the workloads of its Kubernetes dependents. All are in the namespace and cluster of the dependent that names them',
  );

/** In the long form of `keys`. */
export const secretKey = z.strictObject({
  key: secretDataKey.describe('The key in the Kubernetes Secret'),
  field: line('The field of the JSON secret that it holds; the whole text when absent').optional(),
});

const NO_KEY = 'must name at least one key';

const keys = z
  .union(
    [
      z.array(secretKey).min(1, NO_KEY),
      z.record(secretDataKey, line('A field')).refine((mapping) => Object.keys(mapping).length > 0, NO_KEY),
    ],
    {
      error: ({ input }) => {
        if (input === undefined) {
          return 'is missing: which keys of the Kubernetes Secret hold which fields of this secret, such as {PASSWORD: password}';
        }
        return `must be a mapping of keys to fields, or a list, ${input === null ? 'but nothing is written here' : `not ${nameOf(input)}`}`;
      },
    },
  )
  .transform((written): SecretKey[] =>
    Array.isArray(written) ? written : Object.entries(written).map(([key, field]) => ({ key, field })),
  );

export const kubernetes = z
  .strictObject({
    name: line('What the dependent is called in messages; NAMESPACE/SECRET when absent').optional(),
    context: line(
      "A context of the worker's kubeconfig; when absent the current one, or the cluster that the worker runs in",
    ).optional(),
    namespace: namespaceName
      .optional()
      .describe('The namespace of the Secret and the workloads; the name of the environment when absent'),
    sync: oneOf(SYNC_WAYS)
      .default('external-secret')
      .describe(
        'How a version gets into the Kubernetes Secret: External Secrets Operator syncs an ExternalSecret or a ClusterExternalSecret, or, with push, Keyturn applies the keys itself and leaves all others as they are; external-secret when absent',
      ),
    externalSecret: objectName('The name of the ExternalSecret or ClusterExternalSecret; not with push').optional(),
    secret: objectName('The name of the Kubernetes Secret; the same as externalSecret when absent').optional(),
    keys: keys.describe(
      'Which keys of the Kubernetes Secret hold which fields of the JSON secret, such as {PASSWORD: password}; or a list of {key, field}, where a key without field holds the whole text',
    ),
    expect: oneOf(['version', 'any-change'])
      .default('version')
      .describe(
        'version waits until the keys hold the new version; any-change until they hold something else than before, where a template makes another text of it; version when absent',
      ),
    workloads: z
      .array(
        workloadOrService.transform(({ service, ...names }, context) =>
          onlyOneOf(
            [...workloadOf(names), ...(service === undefined ? [] : [{ service }])],
            { service, ...names },
            workloadOrService.shape,
            context,
          ),
        ),
      )
      .default([])
      .describe('The workloads that use the Kubernetes Secret'),
    restart: oneOf(RESTART_WAYS)
      .optional()
      .describe(
        'rollout: Keyturn restarts the workloads, each once. reloader: Stakater Reloader does, and Keyturn waits for it. none: they re-read their mounted file; rollout when absent, none without workloads',
      ),
    waitFor: oneOf(['synced', 'available'])
      .optional()
      .describe(
        'synced: the Kubernetes Secret is enough. available: the workloads must have become available with it; available when absent, synced when nothing is restarted',
      ),
    syncTimeout: duration('How long the sync may take; 600 seconds when absent').default(600_000),
    timeout: duration('How long one workload may take to become available; 10 minutes when absent').default(600_000),
  })
  .describe('A Kubernetes Secret and the workloads that use it');

export type KubernetesData = z.output<typeof kubernetes>;
export type ServicesData = z.output<typeof services>;
