import type { ECSClient } from '@aws-sdk/client-ecs';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { formatDuration } from '../../rotation/durations';
import type { EcsDependent, EcsUndoing } from '../../rotation/dependents';
import { Cause } from '../../rotation/errors';
import { failure } from '../failures';
import { createEcsCalls } from './ecs-calls';
import { deploymentsBegunSince, isUntouchedSince, judgeDeployment, lastWordsSince } from './ecs-deployment';
import type { DeploymentVerdict } from './ecs-deployment';

export interface DeployResult {
  /** There is no such service any more, so that nothing is left to take a version back from. */
  gone: boolean;
}

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
   * @param about `since`: when the delivery began, in milliseconds since the epoch; when the activity was scheduled first when absent.
   * `isAgain`: an earlier call with that `since` has failed; a deployment that has failed by now is not taken up, but followed by another.
   * `undoing`: a service that is gone is no failure then, nor is one that may not be deployed where no task has started since the rotation
   * began; elsewhere NotRestarted says that it may not be.
   * @throws RolloutFailed when the deployment fails or takes too long, and when there is nothing to deploy; PermissionDenied; NotRestarted;
   * and, to be tried again, Throttled and TargetUnavailable.
   */
  deploy(dependent: EcsDependent, service: string, about?: Asked & { undoing?: EcsUndoing }): Promise<DeployResult>;
}

interface Asked {
  since?: number;
  isAgain?: boolean;
}

/** A deployment takes minutes as a rule; the first looks are for services that run no tasks. Milliseconds. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 5_000;
/** An activity that is scheduled later than that after its delivery began is one that was called again, because auditing was down. */
const AT_ONCE_MS = 1_000;
/** How far apart the clocks of Temporal and of AWS may be before something that is new counts as old. */
const CLOCKS_APART_MS = 60_000;

/**
 * UpdateService takes no token, so ECS cannot tell a repeated request from a new one. Whether a deployment was started already is
 * therefore read from when the service's deployments began. The first attempt of a delivery always starts one. A later attempt or call
 * takes up the deployment that began since the delivery did, if there is one, whoever started it: its tasks begin after the version was
 * promoted, and so read it. A call after one that failed takes up the newest of them, unless that one has failed. The clocks of Temporal and of AWS must agree: where Temporal's is ahead, an attempt that follows
 * a lost answer may start one further deployment; where it is behind, a later attempt may take up one that began just before.
 *
 * @param client must not retry by itself: a repeated UpdateService starts a further deployment.
 */
export function createEcsServices(client: Pick<ECSClient, 'send'>): EcsServices {
  const ecs = createEcsCalls(client);

  async function begin(cluster: string, service: string, { since, isAgain = false }: Asked): Promise<Begun> {
    const { info } = Context.current();
    const began = since ?? info.scheduledTimestampMs;
    const { deployments } = await ecs.describe(cluster, service);
    if (isAgain || info.attempt > 1 || info.scheduledTimestampMs - began > AT_ONCE_MS) {
      const begun = deploymentsBegunSince(began, deployments);
      const [newest] = begun;
      if (newest && isAgain) {
        const own = { since: newest.createdAt, seen: true };
        const isEarlier = newest.createdAt < info.scheduledTimestampMs;
        if (!isEarlier || isUnderWay(judgeDeployment(deployments, own))) return own;
      } else if (newest) {
        return { since: Math.min(...begun.map(({ createdAt }) => createdAt)), seen: true };
      }
    }
    return { since: await ecs.startDeployment(cluster, service), seen: false };
  }

  async function waitForDeployment({ cluster, timeoutMs }: EcsDependent, service: string, own: Begun): Promise<void> {
    const context = Context.current();
    const who = `the service ${service} of the ECS cluster ${cluster}`;
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
  }

  /** @returns nothing where none can be begun and none is needed, because no task has started with what is taken back. */
  async function beginUndoing(cluster: string, service: string, { rotationBegan }: EcsUndoing, asked: Asked) {
    try {
      return await begin(cluster, service, asked);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (await isUntouched(cluster, service, rotationBegan - CLOCKS_APART_MS)) return undefined;
      throw failure(
        Cause.NotRestarted,
        `${error.message} Its tasks may go on with what was taken back. Start them anew: ` +
          `aws ecs update-service --cluster ${cluster} --service ${service} --force-new-deployment`,
      );
    }
  }

  async function isUntouched(cluster: string, service: string, since: number): Promise<boolean> {
    try {
      const { deployments, events } = await ecs.describe(cluster, service);
      return isUntouchedSince(since, deployments, events);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return false;
    }
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

    async deploy(dependent, service, { undoing, ...asked } = {}) {
      const { cluster } = dependent;
      try {
        const own = await (undoing ? beginUndoing(cluster, service, undoing, asked) : begin(cluster, service, asked));
        if (own) await waitForDeployment(dependent, service, own);
        return { gone: false };
      } catch (error) {
        if (undoing && isAbout(error, GONE_CAUSES) && (await ecs.isGone(cluster, service).catch(() => false)))
          return { gone: true };
        throw error;
      }
    },
  };
}

/** When the deployment that counts began, by ECS's clock, and whether DescribeServices has shown it yet. */
interface Begun {
  since: number;
  seen: boolean;
}

function isUnderWay({ state }: DeploymentVerdict): boolean {
  return state === 'done' || state === 'waiting';
}

const REFUSALS = new Set<string>([Cause.PermissionDenied, Cause.RolloutFailed]);
const GONE_CAUSES = new Set<string>([Cause.RolloutFailed, Cause.NotRestarted]);

function isRefusal(error: unknown): error is ApplicationFailure {
  return isAbout(error, REFUSALS);
}

function isAbout(error: unknown, causes: ReadonlySet<string>): error is ApplicationFailure {
  return error instanceof ApplicationFailure && causes.has(error.type ?? '');
}
