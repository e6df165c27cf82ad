/** One deployment of a service, as DescribeServices shows it. Times are milliseconds since the epoch, by ECS's clock. */
export interface EcsDeployment {
  /** The most recent one; the others are being replaced. */
  primary: boolean;
  createdAt: number;
  /** COMPLETED, FAILED or IN_PROGRESS; absent behind a Classic Load Balancer (ECS API Reference, 'Deployment'). */
  rolloutState?: string;
  reason?: string;
  /** Numbers of tasks. */
  desired: number;
  running: number;
  pending: number;
  failed: number;
}

/** What ECS noted down about a service. */
export interface EcsEvent {
  message: string;
  createdAt: number;
}

/**
 * How far a deployment is; `found` says it to operators. `vanished`: it was shown before and is no longer. One answer of DescribeServices
 * that is older than the one before looks the same, so that it has to be seen twice in a row.
 */
export type DeploymentVerdict = { state: 'done' } | { state: 'waiting' | 'vanished' | 'failed'; found: string };

export function deploymentsBegunSince(since: number, deployments: readonly EcsDeployment[]): EcsDeployment[] {
  return deployments.filter(({ createdAt }) => createdAt >= since);
}

/** What ECS notes down of a service that stands still (ECS Developer Guide, 'service event messages'). */
const STANDS_STILL = /has reached a steady state/;

/** Whether no task of a service can have started since a time: ECS notes down each that it starts. */
export function isUntouchedSince(since: number, deployments: readonly EcsDeployment[], events: readonly EcsEvent[]) {
  const news = events.filter(({ createdAt, message }) => createdAt >= since && !STANDS_STILL.test(message));
  return news.length === 0 && deploymentsBegunSince(since, deployments).length === 0;
}

/** The circuit breaker's own words for the deployment that puts back what ran before. */
const WENT_BACK = /roll(ing|ed)?[ -]?back/i;

/**
 * Whether all tasks of a service belong to deployments that began since a time. It need not be the very deployment that was started: a
 * later one by somebody else replaces it, and its tasks read the same version. One by which ECS goes back does not count.
 *
 * @param own when the deployment began, and whether DescribeServices has shown it yet, which may lag behind UpdateService.
 */
export function judgeDeployment(
  deployments: readonly EcsDeployment[],
  own: { since: number; seen: boolean },
): DeploymentVerdict {
  const begun = deploymentsBegunSince(own.since, deployments);
  const failed = begun.find(({ rolloutState, reason = '' }) => rolloutState === 'FAILED' || WENT_BACK.test(reason));
  if (failed) return { state: 'failed', found: failed.reason?.replace(/\.$/, '') ?? describe(failed) };
  const primary = deployments.find((deployment) => deployment.primary);
  if (!primary || !begun.includes(primary)) {
    return own.seen
      ? { state: 'vanished', found: 'ECS went back to the deployment before it' }
      : { state: 'waiting', found: 'DescribeServices does not show it yet' };
  }
  const others = deployments.length - 1;
  if (others === 0 && isComplete(primary)) return { state: 'done' };
  const replaced =
    others === 0
      ? ''
      : `, and ${others === 1 ? 'an older deployment is' : `${others} older deployments are`} still there`;
  return { state: 'waiting', found: `${describe(primary)}${replaced}` };
}

function isComplete({ rolloutState, desired, running, pending }: EcsDeployment): boolean {
  if (rolloutState !== undefined) return rolloutState === 'COMPLETED';
  return running === desired && pending === 0;
}

function describe({ rolloutState, desired, running, failed }: EcsDeployment): string {
  const state = rolloutState === undefined ? '' : `it is ${rolloutState}, `;
  return `${state}${running} of ${desired} tasks run${failed > 0 ? `, ${failed} failed to start` : ''}`;
}

const LONGEST_EVENT = 400;

/** The last thing that ECS noted down since a time, as a sentence with a space before it; nothing when there is none. */
export function lastWordsSince(since: number, events: readonly EcsEvent[]): string {
  const [last] = events.filter(({ createdAt }) => createdAt >= since);
  if (!last) return '';
  const message = last.message.slice(0, LONGEST_EVENT);
  return ` ECS says: ${message}${/[.!?]$/.test(message) ? '' : '.'}`;
}
