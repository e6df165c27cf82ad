import type { EcsCalls, EcsServiceState } from '../../activities/delivery/ecs-calls';
import type { EcsDependent } from '../../rotation/dependents';
import { Cause } from '../../rotation/errors';
import type { Check } from './check';
import { check, ok, skipped, warning } from './check';

export type EcsAccess = Pick<EcsCalls, 'describe' | 'seePermitted'>;

/** Whether the services are there and could be deployed now, by these credentials. No deployment is started. */
export async function checkEcsDependent(
  ecs: EcsAccess,
  secretId: string,
  { name: dependent, cluster, services }: EcsDependent,
): Promise<Check[]> {
  const name = `dependent ${dependent} of ${secretId}`;
  const look = async (): Promise<Check> => {
    const states = await Promise.all(services.map((service) => ecs.describe(cluster, service)));
    const found = services.map((service, index) => `${service}: ${wordsFor(states[index])}`).join('; ');
    return states.every(isSteady)
      ? ok(name, found)
      : warning(
          name,
          found,
          `Wait until they are steady: a rotation of ${secretId} is rolled back when its deployment is not finished in time.`,
        );
  };
  const seen = await check(name, look, {
    [Cause.RolloutFailed]: `A rotation of ${secretId} would be refused.`,
    [Cause.TargetUnavailable]: 'Check AWS_REGION, AWS_ENDPOINT_URL and the network between here and AWS.',
  });
  const deployment = `deployment of ${dependent} of ${secretId}`;
  if (seen.state === 'failed') return [seen, skipped(deployment, 'needs the services')];
  const permitted = await check(
    deployment,
    async () => {
      await Promise.all(services.map((service) => ecs.seePermitted(cluster, service)));
      return ok(deployment, `these credentials may deploy ${services.join(', ')} anew; none was started`);
    },
    { [Cause.PermissionDenied]: 'Or run keyturn doctor with the role of the worker.' },
  );
  return [seen, permitted];
}

function isSteady({ desired, running, deployments }: EcsServiceState): boolean {
  const [newest, ...older] = deployments;
  return running >= desired && older.length === 0 && newest?.rolloutState !== 'IN_PROGRESS';
}

function wordsFor(state: EcsServiceState | undefined): string {
  if (!state) return 'not seen';
  const underWay = state.deployments.length > 1 || state.deployments[0]?.rolloutState === 'IN_PROGRESS';
  return [
    `${state.running} of ${state.desired} tasks run`,
    ...(underWay ? ['a deployment is under way'] : []),
    ...(state.circuitBreaker
      ? []
      : ['without a deployment circuit breaker, so that a failing one shows by its timeout']),
  ].join(', ');
}
