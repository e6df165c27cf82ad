import { log, sleep, workflowInfo } from '@temporalio/workflow';
import { formatDuration } from '../../rotation/durations';
import { longerPause, LOOK_PAUSE_MS, PATIENCE_MS } from '../../rotation/emergency';
import { Cause } from '../../rotation/errors';
import { secretIdOf } from '../../rotation/names';
import type { RotationInput, RotationResult } from '../../rotation/types';
import { isInForce } from '../changes';
import { causeOf, refuse, rotationRefused } from '../saga/failures';
import { tellPeople } from '../saga/telling';
import { clearTheWay } from './clear-the-way';
import type { Emergency } from './clear-the-way';

/**
 * Whether people are told by the front door itself that an emergency gives up, so that nobody else need do it. Runs that began before that
 * was so go on as they were.
 */
export const tellsOfGivingUp = () => isInForce('an-emergency-that-gives-up-is-told');

/** Whether a rotation that runs already is ended instead of being left alone. Runs that began before that was so go on without. */
export function clearsTheWay({ emergency, dryRun }: Pick<RotationInput, 'emergency' | 'dryRun'>): boolean {
  return emergency === true && dryRun !== true && isInForce('an-emergency-ends-what-is-in-the-way');
}

/** What is in the way of the emergency rotation of one secret. It may have begun before the leak, so that its end is not enough. */
export class WayOfOne {
  private readonly emergency: Emergency;
  private pause = LOOK_PAUSE_MS.first;
  private cleared = false;

  constructor(private readonly input: RotationInput) {
    const { environment, secret, requestedBy, reason } = input;
    this.emergency = {
      environment,
      since: workflowInfo().startTime.getTime(),
      subject: { secretId: secretIdOf(environment, secret), requestedBy, reason },
    };
  }

  /**
   * Ends the grace period of the rotation that is in the way, and waits for its end. When that is given up, people are told.
   *
   * @returns the result of another emergency rotation that did it meanwhile; nothing when the secret can be rotated now.
   * @throws InTheWay when it does not end in time.
   */
  async clear(): Promise<RotationResult | undefined> {
    // Another one was quicker.
    if (this.cleared) await this.wait();
    for (;;) {
      const [obstacle] = await clearTheWay(this.emergency, [this.input.secret]);
      switch (obstacle?.state) {
        case 'gone':
          this.cleared = true;
          return undefined;
        case 'replaced':
          return obstacle.result;
        case 'unstoppable':
          return this.giveUp(`a rotation of it has to ${obstacle.what}, and only the provider can do that sooner`);
        case 'running':
        case undefined:
          await this.wait();
      }
    }
  }

  private async wait(): Promise<void> {
    if (Date.now() + this.pause > this.emergency.since + PATIENCE_MS) {
      await this.giveUp(`a rotation of it did not end within ${formatDuration(PATIENCE_MS)}`);
    }
    await sleep(this.pause, { summary: 'another rotation of the secret is waited for' });
    this.pause = longerPause(this.pause);
  }

  /** Whoever asked may have closed the terminal hours ago. @throws InTheWay */
  private async giveUp(why: string): Promise<never> {
    const { environment, secret, requestedBy, reason } = this.input;
    const { secretId } = this.emergency.subject;
    const next = `keyturn rotate ${secretId} --emergency`;
    const failure = refuse(
      Cause.InTheWay,
      `${why}. What leaked may still be valid. See what it does: keyturn status ${secretId}. Afterwards: ${next}`,
    );
    if (tellsOfGivingUp()) {
      const problem = await tellPeople({
        environment,
        secret,
        event: 'refused',
        severity: 'critical',
        message: rotationRefused(secretId, { step: 'start', cause: causeOf(failure) }).message,
        next,
        requestedBy,
        reason,
      });
      if (problem !== undefined) log.error(`People could not be told that an emergency gave up: ${problem}`);
    }
    throw failure;
  }
}
