import { dependentName, namespaceOf, restartOf } from './dependents';
import { isNamespace } from './kubernetes-values';
import { quoted, type Report } from './problems';
import type { EnvironmentData, KubernetesData, SecretData } from './schema';
import { didYouMean } from './similar-names';

/** Finds what is wrong between the values of a secret's dependents; paths start below the secret. */
export function checkDependents(
  environment: string,
  { services }: EnvironmentData,
  secret: SecretData,
  report: Report,
): void {
  const names = secret.dependents.map((dependent) => dependentName(environment, dependent));
  secret.dependents.forEach((dependent, index) => {
    const reportBelow: Report = (path, message, what) =>
      report(['dependents', index, dependent.kind, ...path], message, what);
    if (names.indexOf(names[index] ?? '') !== index) reportBelow(['name'], sameName(names[index], dependent.name));
    if (dependent.kind === 'kubernetes') {
      checkPlace(environment, dependent, reportBelow);
      checkSync(dependent, reportBelow);
      checkKeys(secret, dependent, reportBelow);
      checkWorkloads(environment, services, dependent, reportBelow);
      checkRestart(dependent, reportBelow);
    }
    if (dependent.kind === 'ecs') {
      dependent.services.forEach((service, place) => {
        if (dependent.services.indexOf(service) === place) return;
        reportBelow(['services', place], 'names a service that the list has already');
      });
    }
  });
  if (secret.delivery && secret.dependents.every(({ kind }) => kind === 'http')) {
    report(['delivery'], 'has no effect without kubernetes or ecs among the dependents: leave it out');
  }
}

function sameName(name: string | undefined, written: string | undefined): string {
  return written === undefined
    ? `is missing: without one it is ${quoted(name)}, which the list has already`
    : 'names a dependent that the list has already';
}

function checkPlace(environment: string, kubernetes: KubernetesData, report: Report): void {
  if (isNamespace(namespaceOf(environment, kubernetes))) return;
  report(
    ['namespace'],
    `is missing: the environment's name ${quoted(environment)} cannot be the name of a namespace, so the namespace must be written`,
  );
}

const SYNCED_OBJECT = { 'external-secret': 'ExternalSecret', 'cluster-external-secret': 'ClusterExternalSecret' };

function checkSync({ sync, externalSecret, secret, expect }: KubernetesData, report: Report): void {
  if (sync !== 'push') {
    if (externalSecret !== undefined) return;
    const hint = sync === 'external-secret' ? '; without External Secrets Operator write sync: push' : '';
    report(['externalSecret'], `is missing: the name of the ${SYNCED_OBJECT[sync]} that is synced${hint}`);
    return;
  }
  if (externalSecret !== undefined) {
    report(['externalSecret'], 'cannot be used with sync: push, where Keyturn writes the Kubernetes Secret itself');
  }
  if (secret === undefined) {
    report(['secret'], 'is missing: the name of the Kubernetes Secret that Keyturn writes the keys of');
  }
  if (expect === 'any-change') {
    report(['expect'], 'cannot be any-change with sync: push, where Keyturn writes the very version: leave it out');
  }
}

function checkKeys(secret: SecretData, { keys }: KubernetesData, report: Report): void {
  keys.forEach(({ key }, index) => {
    if (keys.findIndex((other) => other.key === key) === index) return;
    report(['keys', index, 'key'], 'names a key that the list has already');
  });
  const withField = keys.find(({ field }) => field !== undefined);
  if (withField && secret.type === 'app-secret' && secret.field === undefined) {
    report(
      ['keys'],
      `takes the field ${quoted(withField.field)}, but this secret is one text without fields: write the list form, - key: ${withField.key}; or name a field in field of the secret`,
    );
  }
}

function checkWorkloads(
  environment: string,
  services: EnvironmentData['services'],
  { workloads }: KubernetesData,
  report: Report,
): void {
  const seen = new Set<string>();
  workloads.forEach((entry, index) => {
    const id = JSON.stringify(entry);
    if (seen.has(id)) report(['workloads', index], 'names a workload that the list has already');
    seen.add(id);
    if (!('service' in entry) || Object.hasOwn(services, entry.service)) return;
    const declared = Object.keys(services);
    const known =
      declared.length === 0 ? '; it has none: declare it under services' : `; it has ${declared.join(', ')}`;
    report(
      ['workloads', index, 'service'],
      `${quoted(entry.service)} is no service of the environment ${environment}${didYouMean(entry.service, declared) || known}`,
    );
  });
}

function checkRestart(kubernetes: KubernetesData, report: Report): void {
  const { restart, waitFor, workloads } = kubernetes;
  if (restart !== undefined && restart !== 'none' && workloads.length === 0) {
    report(['restart'], `is ${restart}, and there is nothing to restart: name workloads, or leave it out`);
  }
  if (waitFor !== 'available' || restartOf(kubernetes) !== 'none') return;
  report(
    ['waitFor'],
    workloads.length === 0
      ? 'is available, and there is nothing to wait for: name workloads, or leave it out'
      : 'cannot be available with restart: none: Kubernetes does not show whether a file was read again. Leave it out, and let an http dependent tell whether the workload is healthy',
  );
}
