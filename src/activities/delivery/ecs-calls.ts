import { DescribeServicesCommand, UpdateServiceCommand } from '@aws-sdk/client-ecs';
import type { ECSClient, Service } from '@aws-sdk/client-ecs';
import { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../rotation/errors';
import { outsideCall } from '../boundary/activity-scope';
import { circuitBreakerFor } from '../circuit-breaker';
import { awsAnswerOf, errorNameOf } from '../aws-errors';
import { failure } from '../failures';
import type { EcsDeployment, EcsEvent } from './ecs-deployment';

/** A service as a delivery sees it. */
export interface EcsServiceState {
  /** How many tasks it is to run, and how many run. */
  desired: number;
  running: number;
  /** Whether ECS gives up a deployment whose tasks do not start. */
  circuitBreaker: boolean;
  /** Newest first. */
  deployments: EcsDeployment[];
  /** Newest first. */
  events: EcsEvent[];
}

/** The calls of ECS's API. */
export interface EcsCalls {
  /** @throws RolloutFailed when the service or its cluster is missing, deleted, or deployed by something else than ECS. */
  describe(cluster: string, service: string): Promise<EcsServiceState>;
  /** Whether the service or its cluster is missing or deleted. */
  isGone(cluster: string, service: string): Promise<boolean>;
  /**
   * Sees that the worker may start deployments of a service, by an UpdateService that changes nothing: ECS has no dry run, and starts no
   * deployment that is neither asked for nor needed by a change (ECS API Reference, 'UpdateService', forceNewDeployment).
   *
   * @throws PermissionDenied.
   */
  seePermitted(cluster: string, service: string): Promise<void>;
  /**
   * Has ECS start all tasks anew. Not to be repeated without looking: each call starts a deployment.
   *
   * @returns when the deployment began, by ECS's clock, in milliseconds since the epoch.
   */
  startDeployment(cluster: string, service: string): Promise<number>;
}

export function createEcsCalls(client: Pick<ECSClient, 'send'>): EcsCalls {
  const breaker = circuitBreakerFor('Amazon ECS');

  async function call<T>(operation: string, cluster: string, service: string, send: () => Promise<T>): Promise<T> {
    return breaker(() =>
      outsideCall('ecs', operation, async () => {
        try {
          return await send();
        } catch (error) {
          throw toFailure(error, operation, cluster, service);
        }
      }),
    );
  }

  async function find(cluster: string, service: string): Promise<Service | 'no-cluster' | undefined> {
    const answer = await call('DescribeServices', cluster, service, async () => {
      try {
        return await client.send(new DescribeServicesCommand({ cluster, services: [service] }));
      } catch (error) {
        if (errorNameOf(error) === NO_CLUSTER) return 'no-cluster';
        throw error;
      }
    });
    return answer === 'no-cluster' ? answer : answer.services?.[0];
  }

  return {
    async describe(cluster, service) {
      const found = await find(cluster, service);
      if (found === 'no-cluster') throw missingCluster(cluster);
      if (!found) throw missingService(cluster, service);
      refuseUndeployable(found, cluster, service);
      return stateOf(found);
    },

    async isGone(cluster, service) {
      const found = await find(cluster, service);
      return found === 'no-cluster' || !found || isDeleted(found);
    },

    async seePermitted(cluster, service) {
      try {
        await call('UpdateService', cluster, service, () =>
          client.send(new UpdateServiceCommand({ cluster, service })),
        );
      } catch (error) {
        // Whoever lacks the right is told so first; any other refusal is of the request.
        if (!(error instanceof ApplicationFailure && error.type === Cause.RolloutFailed)) throw error;
      }
    },

    async startDeployment(cluster, service) {
      const { service: updated } = await call('UpdateService', cluster, service, () =>
        client.send(new UpdateServiceCommand({ cluster, service, forceNewDeployment: true })),
      );
      const [newest] = updated ? stateOf(updated).deployments : [];
      if (newest) return newest.createdAt;
      throw failure(
        Cause.Unexpected,
        `ECS accepted a new deployment of the service ${service} (cluster ${cluster}) and names none. It is looked for when the step is tried again.`,
      );
    },
  };
}

function stateOf({ deployments = [], events = [], ...service }: Service): EcsServiceState {
  return {
    desired: service.desiredCount ?? 0,
    running: service.runningCount ?? 0,
    circuitBreaker: service.deploymentConfiguration?.deploymentCircuitBreaker?.enable ?? false,
    deployments: deployments
      .map((deployment) => ({
        primary: deployment.status === 'PRIMARY',
        createdAt: deployment.createdAt?.getTime() ?? 0,
        rolloutState: deployment.rolloutState,
        reason: deployment.rolloutStateReason,
        desired: deployment.desiredCount ?? 0,
        running: deployment.runningCount ?? 0,
        pending: deployment.pendingCount ?? 0,
        failed: deployment.failedTasks ?? 0,
      }))
      .sort((a, b) => b.createdAt - a.createdAt),
    events: events
      .map(({ message = '', createdAt }) => ({ message, createdAt: createdAt?.getTime() ?? 0 }))
      .sort((a, b) => b.createdAt - a.createdAt),
  };
}

const NO_CLUSTER = 'ClusterNotFoundException';
const NOTHING_STARTED = 'No deployment was started.';

function missingCluster(cluster: string): ApplicationFailure {
  return failure(
    Cause.RolloutFailed,
    `There is no ECS cluster ${cluster} in the worker's account and region. ${NOTHING_STARTED} Correct cluster in the catalog, or the region of the worker.`,
  );
}

function missingService(cluster: string, service: string): ApplicationFailure {
  return failure(
    Cause.RolloutFailed,
    `The ECS cluster ${cluster} has no service ${service}. ${NOTHING_STARTED} Correct services in the catalog, or the region of the worker.`,
  );
}

/** What is being deleted can be deployed no more either. */
function isDeleted({ status }: Service): boolean {
  return status !== undefined && status !== 'ACTIVE';
}

function refuseUndeployable(found: Service, cluster: string, service: string): void {
  const which = `The service ${service} of the ECS cluster ${cluster}`;
  if (isDeleted(found)) {
    throw failure(
      Cause.RolloutFailed,
      `${which} is ${found.status}: it was deleted. ${NOTHING_STARTED} Create it again, or take it out of the catalog.`,
    );
  }
  const { type = 'ECS' } = found.deploymentController ?? {};
  if (type !== 'ECS') {
    throw failure(
      Cause.RolloutFailed,
      `${which} is deployed by ${type}, whose tasks ECS does not start anew by itself. ${NOTHING_STARTED} Take it out of the catalog, and have ${type} deploy it after a rotation.`,
    );
  }
}

/** What an error of the AWS SDK means for a delivery. */
function toFailure(error: unknown, operation: string, cluster: string, service: string): ApplicationFailure {
  const name = errorNameOf(error);
  const answer = awsAnswerOf(error);
  const where = `${operation} of the service ${service} (cluster ${cluster})`;
  if (name === NO_CLUSTER) return missingCluster(cluster);
  if (name === 'ServiceNotFoundException') return missingService(cluster, service);
  if (name === 'ServiceNotActiveException') {
    return failure(
      Cause.RolloutFailed,
      `The service ${service} of the ECS cluster ${cluster} is being deleted or was deleted. ${NOTHING_STARTED} Create it again, or take it out of the catalog.`,
    );
  }
  if (answer === 'throttled') {
    return failure(Cause.Throttled, `ECS throttles ${where}; it is tried again.`);
  }
  if (answer === 'not-permitted') {
    return failure(
      Cause.PermissionDenied,
      `The worker may not call ecs:${where} (${name}). Grant ecs:DescribeServices and ecs:UpdateService to the worker's IAM role.`,
    );
  }
  if (answer === 'refused') {
    return failure(Cause.RolloutFailed, `ECS refuses ${where} with ${name}.`);
  }
  return failure(Cause.TargetUnavailable, `ECS did not answer ${where} (${name}).`);
}
