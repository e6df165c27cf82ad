import type { Dependent, DeliveryPlan, KubernetesDependent, Workload } from '../rotation/dependents';
import type { DeliveryData, DependentData, KubernetesData, ServicesData } from './schema';

/** What each dependent says, with all defaults filled in. */
export function dependentsOf(environment: string, services: ServicesData, written: DependentData[]): Dependent[] {
  return written.map((dependent) => {
    switch (dependent.kind) {
      case 'http': {
        const { timeout, ...http } = dependent;
        return { ...http, timeoutMs: timeout };
      }
      case 'kubernetes':
        return kubernetesOf(environment, services, dependent);
      case 'ecs': {
        const { timeout, ...ecs } = dependent;
        return { ...ecs, name: dependentName(environment, dependent), timeoutMs: timeout };
      }
    }
  });
}

function kubernetesOf(environment: string, services: ServicesData, written: KubernetesData): KubernetesDependent {
  const { context, sync, externalSecret, keys, expect, syncTimeout, timeout } = written;
  return {
    kind: 'kubernetes',
    name: dependentName(environment, { kind: 'kubernetes', ...written }),
    ...(context !== undefined && { context }),
    namespace: namespaceOf(environment, written),
    sync,
    ...(externalSecret !== undefined && { externalSecret }),
    secret: kubernetesSecretOf(written),
    keys,
    expect,
    workloads: workloadsOf(services, written),
    restart: restartOf(written),
    waitFor: written.waitFor ?? (restartOf(written) === 'none' ? 'synced' : 'available'),
    syncTimeoutMs: syncTimeout,
    timeoutMs: timeout,
  };
}

/** How a dependent is called in messages. */
export function dependentName(environment: string, dependent: DependentData): string {
  if (dependent.name !== undefined) return dependent.name;
  if (dependent.kind === 'ecs') return dependent.cluster.slice(dependent.cluster.lastIndexOf('/') + 1);
  if (dependent.kind === 'kubernetes') return `${namespaceOf(environment, dependent)}/${kubernetesSecretOf(dependent)}`;
  return dependent.name;
}

export function namespaceOf(environment: string, { namespace }: KubernetesData): string {
  return namespace ?? environment;
}

function kubernetesSecretOf({ secret, externalSecret = '' }: KubernetesData): string {
  return secret ?? externalSecret;
}

export function restartOf({ restart, workloads }: KubernetesData): KubernetesDependent['restart'] {
  return restart ?? (workloads.length > 0 ? 'rollout' : 'none');
}

/** With the services' workloads in place of their names; one that two services have is there once. */
function workloadsOf(services: ServicesData, { workloads }: KubernetesData): Workload[] {
  const all = workloads.flatMap((entry) => ('service' in entry ? (services[entry.service] ?? []) : [entry]));
  return [...new Map(all.map((workload) => [`${workload.kind} ${workload.name}`, workload])).values()];
}

export function deliveryOf({ order, maxRestartsAtOnce }: DeliveryData): DeliveryPlan {
  return { inOrder: order === 'in-order', maxRestartsAtOnce };
}
