/** What is read of a pod (Kubernetes API reference, 'Pod'). */
export interface PodObject {
  metadata: {
    name: string;
    namespace: string;
    uid: string;
    labels?: Record<string, string>;
    deletionTimestamp?: string;
  };
  spec: {
    nodeName?: string;
    containers: Container[];
    initContainers?: Container[];
    volumes?: Volume[];
  };
  status?: { conditions?: { type: string; status: string }[] };
}

export interface Container {
  name: string;
  image: string;
  command?: string[];
  env?: EnvironmentVariable[];
  volumeMounts?: { name: string; mountPath: string }[];
  readinessProbe?: { httpGet?: { path: string } };
}

interface EnvironmentVariable {
  name: string;
  value?: string;
  valueFrom?: { secretKeyRef?: { name: string; key: string; optional?: boolean } };
}

interface Volume {
  name: string;
  secret?: { secretName: string; optional?: boolean };
}

/** The Secrets that a pod cannot start without. */
export function neededSecrets({ spec }: PodObject): string[] {
  const mounted = (spec.volumes ?? []).flatMap(({ secret }) => (secret && !secret.optional ? [secret.secretName] : []));
  const read = spec.containers.flatMap(({ env = [] }) =>
    env.flatMap(({ valueFrom }) => (valueFrom?.secretKeyRef ? [valueFrom.secretKeyRef.name] : [])),
  );
  return [...new Set([...mounted, ...read])];
}

/**
 * The environment of a container's process, as it is when the process starts.
 *
 * @param read gives a Secret's value
 * @param translate makes a path of the container one of this machine
 */
export function environmentOf(
  { env = [] }: Container,
  read: (secret: string, key: string) => string | undefined,
  translate: (text: string) => string,
): Record<string, string> {
  return Object.fromEntries(
    env.flatMap(({ name, value, valueFrom }) => {
      const { secretKeyRef } = valueFrom ?? {};
      const found = secretKeyRef ? read(secretKeyRef.name, secretKeyRef.key) : translate(value ?? '');
      return found === undefined ? [] : [[name, found]];
    }),
  );
}

/** What a kubelet reports of a pod whose containers run. */
export function runningStatus({ spec, status }: PodObject, isReady: boolean, startedAt: string): object {
  const others = (status?.conditions ?? []).filter(({ type }) => type === 'PodScheduled');
  const ready = (type: string) => ({
    type,
    status: isReady ? 'True' : 'False',
    lastTransitionTime: new Date().toISOString(),
  });
  return {
    phase: 'Running',
    startTime: startedAt,
    conditions: [
      ...others,
      { type: 'Initialized', status: 'True', lastTransitionTime: startedAt },
      ready('ContainersReady'),
      ready('Ready'),
    ],
    containerStatuses: spec.containers.map(({ name, image }) => ({
      name,
      image,
      imageID: '',
      ready: isReady,
      started: true,
      restartCount: 0,
      state: { running: { startedAt } },
    })),
  };
}
