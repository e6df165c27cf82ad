import { isCancellation, sleep } from '@temporalio/workflow';
import type { StepInput } from '../../activities/step-input';
import type { StepStatus } from '../../rotation/types';
import { isInForce } from '../changes';
import { activitiesFor } from './activities';
import type { Notification, StepActivities } from './activities';
import { causeOf } from './failures';
import type { GraceOptions, GracePeriod } from './grace-period';
import type { RotationNews } from './news';
import type { Progress } from './progress';
import { tellFleet } from './tell-fleet';

/** How long one notification is tried. */
const NOTIFICATION_MS = 60_000;

/** A fleet does not wait for what only time brings about, from so long on. */
const LONG_PAUSE_MS = 10 * 60_000;

/** What the steps of one rotation share. */
export interface StepSurroundings {
  subject: Omit<StepInput, 'step'>;
  progress: Progress;
  grace: GracePeriod;
  news: RotationNews;
  /** How long an activity of a step is retried, in milliseconds. */
  patienceMs(): number;
}

/**
 * What one step can do.
 *
 * @param options `limitMs`: how long one activity is retried, for ever when `undefined`, as long as usual without options;
 * `summary`: what is shown beside its activities instead of its own.
 */
export type StepActivitiesOf = (step: StepStatus, options?: { limitMs?: number; summary?: string }) => StepActivities;

export function createStepActivities(surroundings: StepSurroundings): StepActivitiesOf {
  const { subject, progress, grace, news, patienceMs } = surroundings;

  const activitiesOf: StepActivitiesOf = (step, options = { limitMs: patienceMs() }) => {
    const { limitMs, summary = step.summary } = options;
    const doing = step.state === 'undoing' ? 'undoing' : 'running';
    return {
      ...activitiesFor({
        subject,
        step: step.name,
        summary,
        limitMs,
        onAuditDown: (down) => progress.mark(step, down ? 'waiting-for-audit' : doing),
      }),
      waitOutGracePeriod,
      pauseUntil,
      graceStart: () => grace.start(),
      graceWasEnded: () => grace.wasEnded(),
      show: (keys) => progress.showKeys(keys),
      tell: (notification) => tell(step, notification),
    };
  };

  async function waitOutGracePeriod(options: GraceOptions): Promise<void> {
    const { environment, secret, phase } = progress.status;
    progress.enterPhase('grace-period');
    if (phase !== 'grace-period') {
      tellFleet(environment, { secret, graceEndsAt: new Date(options.endsAt).toISOString() });
    }
    await grace.waitOut(options);
  }

  async function pauseUntil(time: number): Promise<void> {
    const left = time - Date.now();
    const { environment, secret, graceEndsAt } = progress.status;
    // A rotation with a grace period has told its fleet before.
    if (left > LONG_PAUSE_MS && graceEndsAt === undefined && isInForce('a-fleet-is-told-of-long-pauses')) {
      tellFleet(environment, { secret, graceEndsAt: new Date(time).toISOString() });
    }
    if (left > 0) await sleep(left, { summary: `wait until ${new Date(time).toISOString()}` });
  }

  /** Tells people; that it does not work holds nothing up. */
  async function tell(step: StepStatus, notification: Notification): Promise<void> {
    const { environment, secret } = progress.status;
    if (news.routes) return news.within(notification);
    const { notify } = activitiesOf(step, {
      limitMs: NOTIFICATION_MS,
      summary: `notify: ${notification.event}`,
    }).write;
    try {
      await notify({ ...notification, environment, secret });
    } catch (error) {
      if (isCancellation(error)) throw error;
      progress.showProblem(step, `a notification could not be sent: ${causeOf(error).message}`);
    }
  }

  return activitiesOf;
}
