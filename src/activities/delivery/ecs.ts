import type { ECSClient } from '@aws-sdk/client-ecs';
import { Context } from '@temporalio/activity';
import { formatDuration } from '../../rotation/durations';
import type { EcsDependent } from '../../rotation/dependents';
import { Cause } from '../../rotation/errors';
import { failure } from '../failures';
import { createEcsCalls } from './ecs-calls';
import { deploymentsBegunSince, judgeDeployment, lastWordsSince } from './ecs-deployment';

/** Amazon ECS in the words of a delivery. */
export interface EcsServices {
  /**
   * Looks whether the services are there and can be deployed, by this worker. Nothing is changed.
   *
   * @throws RolloutFailed with what is missing, PermissionDenied.
   */
  look(dependent: EcsDependent): Promise<void>;
  /**
   * Has a service's tasks started anew, and waits until the new deployment is the only one. A later attempt of the
   * same activity starts no further deployment, nor does a later call with the same `since`.
   *
   * @param since when the delivery began, in milliseconds since the epoch; when the activity was scheduled first when absent.
   * @throws RolloutFailed when the deployment fails or takes too long, and when there is nothing to deploy; PermissionDenied; and, to be
   * tried again, Throttled and TargetUnavailable.
   */
  deploy(dependent: EcsDependent, service: string, since?: number): Promise<void>;
}

/** A deployment takes minutes as a rule; the first looks are for services that run no tasks. Milliseconds. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 5_000;
/** An activity that is scheduled later than that after its delivery began is one that was called again, because auditing was down. */
const AT_ONCE_MS = 1_000;

/**
 * UpdateService takes no token, so ECS cannot tell a repeated request from a new one. Whether a deployment was started already is
 * therefore read from when the service's deployments began. The first attempt of a delivery always starts one. A later attempt or call
 * takes up the deployment that began since the delivery did, if there is one, whoever started it: its tasks begin after the version was
 * promoted, and so read it. The clocks of Temporal and of AWS must agree: where Temporal's is ahead, an attempt that follows
 * a lost answer may start one further deployment; where it is behind, a later attempt may take up one that began just before.
 *
 * @param client must not retry by itself: a repeated UpdateService starts a further deployment.
 */
export function createEcsServices(client: Pick<ECSClient, 'send'>): EcsServices {
  const ecs = createEcsCalls(client);

  async function begin(cluster: string, service: string, from?: number): Promise<{ since: number; seen: boolean }> {
    const { info } = Context.current();
    const began = from ?? info.scheduledTimestampMs;
    const { deployments } = await ecs.describe(cluster, service);
    if (info.attempt > 1 || info.scheduledTimestampMs - began > AT_ONCE_MS) {
      const begun = deploymentsBegunSince(began, deployments);
      if (begun.length > 0) return { since: Math.min(...begun.map(({ createdAt }) => createdAt)), seen: true };
    }
    return { since: await ecs.startDeployment(cluster, service), seen: false };
  }

  return {
    async look({ cluster, services }) {
      await Promise.all(
        services.map(async (service) => {
          await ecs.describe(cluster, service);
          await ecs.seePermitted(cluster, service);
        }),
      );
    },

    async deploy({ cluster, timeoutMs }, service, since) {
      const context = Context.current();
      const who = `the service ${service} of the ECS cluster ${cluster}`;
      const own = await begin(cluster, service, since);
      const deadline = Math.min(own.since, Date.now()) + timeoutMs;
      let vanished = false;
      for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS)) {
        const state = await ecs.describe(cluster, service);
        own.seen ||= deploymentsBegunSince(own.since, state.deployments).length > 0;
        const verdict = judgeDeployment(state.deployments, own);
        if (verdict.state === 'done') return;
        if (verdict.state === 'failed' || (verdict.state === 'vanished' && vanished)) {
          throw failure(
            Cause.RolloutFailed,
            `The new deployment of ${who} failed: ${verdict.found}.${lastWordsSince(own.since, state.events)} ` +
              'Look at why its new tasks stop: their logs, their health check, and whether their execution role may read the secret.',
          );
        }
        if (Date.now() >= deadline) {
          throw failure(
            Cause.RolloutFailed,
            `The new deployment of ${who} was not finished after ${formatDuration(timeoutMs)}: ${verdict.found}.` +
              `${lastWordsSince(own.since, state.events)} ` +
              'It was left as it is in ECS. Look at why its new tasks do not become healthy, or allow more time with timeout in the catalog.',
          );
        }
        vanished = verdict.state === 'vanished';
        await context.sleep(Math.max(0, Math.min(pauseMs, deadline - Date.now())));
      }
    },
  };
}
