import type { Dependent } from '../../rotation/dependents';
import type { FleetSecret } from '../../rotation/fleet';
import type { ApiKeyProviderPlan, RotationPlan } from '../../rotation/plan';

/** The server and the logins of a database secret. */
export interface DatabasePlace {
  /** `host:port`. */
  server: string;
  username: string;
}

type References = Pick<FleetSecret, 'target' | 'alone' | 'uses' | 'restarts'>;

/**
 * What a rotation of the plan changes and uses, so that the fleet keeps apart what shares something.
 *
 * @param place of a database secret; absent when it cannot be told, and then the catalog's words have to do.
 */
export function referencesOf(plan: RotationPlan, place?: DatabasePlace): References {
  const shared = {
    alone: [`secret ${plan.secretId}`, ...plan.dependents.flatMap(workloadsOf)],
    restarts: Math.min(
      plan.dependents.reduce((sum, dependent) => sum + restartsOf(dependent), 0),
      plan.delivery?.maxRestartsAtOnce ?? Infinity,
    ),
    uses: [] as string[],
  };
  switch (plan.type) {
    case 'app-secret':
      return shared;
    case 'database': {
      const server = place?.server ?? 'a database';
      const logins = plan.logins ?? (place ? [withoutClone(place.username)] : []);
      return {
        ...shared,
        ...(place && { target: place.server }),
        alone: [
          ...shared.alone,
          ...logins.map((login) => `login ${login} of ${server}`),
          ...(plan.groupRole === undefined ? [] : [`group ${plan.groupRole} of ${server}`]),
        ],
        uses: plan.adminSecretId === undefined ? [] : [`secret ${plan.adminSecretId}`],
      };
    }
    case 'api-key': {
      const { target, account, adminSecretId } = providerReferences(plan.provider);
      return {
        ...shared,
        target,
        alone: account === undefined ? shared.alone : [...shared.alone, account],
        uses: adminSecretId === undefined ? [] : [`secret ${adminSecretId}`],
      };
    }
  }
}

/** AWS's name of the second login (AWS Secrets Manager, 'Alternating users'). */
function withoutClone(username: string): string {
  return username.replace(/_clone$/, '');
}

function workloadsOf(dependent: Dependent): string[] {
  switch (dependent.kind) {
    case 'http':
      return [`workload ${dependent.healthUrl}`];
    case 'kubernetes':
      return dependent.workloads.map(
        ({ kind, name }) => `workload ${dependent.context ?? ''}/${dependent.namespace}/${kind}/${name}`,
      );
    case 'ecs':
      return dependent.services.map((service) => `workload ${dependent.cluster}/${service}`);
  }
}

function restartsOf(dependent: Dependent): number {
  if (dependent.kind === 'http') return 0;
  if (dependent.kind === 'ecs') return dependent.services.length;
  return dependent.restart === 'none' ? 0 : dependent.workloads.length;
}

function providerReferences(provider: ApiKeyProviderPlan): {
  target: string;
  /** What has its keys counted. */
  account?: string;
  adminSecretId?: string;
} {
  switch (provider.name) {
    case 'aws-iam':
      return { target: 'AWS IAM', account: `IAM user ${provider.userName}` };
    case 'amazon-sp-api':
      return { target: provider.endpoint, account: `client ${provider.clientId}` };
    case 'http':
      return {
        target: new URL(provider.create.url.replace(/\{\{.*$/, '')).origin,
        ...(provider.adminSecretId !== undefined && { adminSecretId: provider.adminSecretId }),
      };
  }
}
