import { setTimeout as delay } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import type { RotationResult, RotationStatus } from '../../src/rotation/types';
import { startDependent } from './dependent';
import { holdLogin } from './held-login';
import type { HeldLogin } from './held-login';
import type { KillPoint } from './kill-points';
import type { Point } from './pauses';
import type { Situation } from './situation';
import { createSubject } from './subjects';
import type { Kind, Subject } from './subjects';
import { failureOf } from './testbed';
import type { Testbed } from './testbed';
import { until } from './until';

/** How a rotation ended. */
export type End =
  | { result: RotationResult; failure?: undefined }
  | { result?: undefined; failure: Awaited<ReturnType<typeof failureOf>> };

/** One secret, and the rotation of it whose worker is killed. */
export interface KilledRotation {
  at: KillPoint;
  subject: Subject;
  /** As it was before the rotation, and before one that was terminated. */
  before: Situation;
  versionsBefore: string[];
  /** How often its dependent was asked. */
  asked(): number;
  /** Starts it, and returns when it stands still at its point. */
  standStill(): Promise<void>;
  /** To be called once the worker is dead: nothing holds the rotation any more. */
  letGo(): Promise<void>;
  end(withinMs: number): Promise<End>;
  close(): Promise<void>;
}

/** Until then a terminated rotation of a kind has changed all that its successor must find. */
const TERMINATED_AFTER: Record<Kind, string> = {
  'app-secret': 'createCandidate',
  'single-user': 'setPassword',
  'alternating-users': 'prepareLogin',
};

/** Makes the secret and all that its rotation needs to get to a point. */
export async function prepareKilledRotation(bed: Testbed, at: KillPoint, secret: string): Promise<KilledRotation> {
  const waitsOnly = at.activity === undefined;
  const dependent = await startDependent(`the service of ${secret}`, '1 second');
  const subject = await createSubject(bed, at.kind, secret, {
    dependents: [dependent.declaration],
    ...(at.kind === 'alternating-users' && { gracePeriod: waitsOnly ? '1 hour' : '1 second' }),
  });
  const secretId = bed.secrets.idOf(secret);
  const point: Point = {
    secretId,
    step: at.step,
    activity: at.activity,
    when: at.when === 'after' ? 'after' : 'before',
  };
  let handle: WorkflowHandle;
  let held: HeldLogin | undefined;

  async function terminateOne(): Promise<void> {
    const left: Point = { secretId, step: TERMINATED_AFTER[at.kind], when: 'after' };
    await bed.pauses.stopAt(left);
    const terminated = await bed.start(secret);
    await bed.pauses.reached(left);
    await terminated.terminate('to leave a candidate behind');
    await bed.pauses.goOn(left);
  }

  async function stepIs(step: string): Promise<void> {
    await until(`${secretId} is at ${step}`, async () => {
      const status = await handle.query<RotationStatus>('status');
      return status.step === step;
    });
  }

  /** The login whose state steps change: with two of them, the one that AWSCURRENT does not name at that time. */
  async function loginConcerned(): Promise<string> {
    const { username } = JSON.parse(await bed.secrets.value(secret)) as { username: string };
    return subject.logins.find((login) => login !== username) ?? username;
  }

  if (at.afterOne === 'rotated') await bed.rotate(secret);
  const asked = dependent.asked;
  return {
    at,
    subject,
    before: await subject.situation(),
    versionsBefore: await bed.secrets.versionIds(secret),
    asked: () => dependent.asked - asked,

    async standStill() {
      if (at.afterOne === 'terminated') await terminateOne();
      if (at.undoing) {
        // From its first answer on, so that the same step's activities going forward are not held up.
        dependent.answer(async () => {
          if (dependent.asked - asked > 1) return 200;
          await bed.pauses.stopAt(point);
          return 503;
        });
      } else if (!waitsOnly) {
        await bed.pauses.stopAt(point);
      }
      handle = await bed.start(secret);
      if (waitsOnly) return stepIs(at.step);
      await bed.pauses.reached(point);
      if (at.when !== 'during') return;
      held = await holdLogin(await loginConcerned());
      await bed.pauses.goOn(point);
      await held.isWaitedFor();
    },

    async letGo() {
      const found = await subject.situation();
      await bed.pauses.goOn(point);
      await held?.release();
      if (held && JSON.stringify(found.roles) === JSON.stringify((await subject.situation()).roles)) {
        throw new Error(`${at.step} did not take effect after the death of its worker`);
      }
    },

    async end(withinMs) {
      if (waitsOnly) await handle.executeUpdate('endGracePeriod', { args: [{ requestedBy: 'tester' }] });
      const late = delay(withinMs, undefined, { ref: false }).then(() => {
        throw new Error(`the rotation of ${secretId} has not ended within ${withinMs / 1_000} s`);
      });
      const ended = handle.result().then(
        (result) => ({ result: result as RotationResult }),
        async (error: unknown) => ({ failure: await failureOf(Promise.reject(error)) }),
      );
      return Promise.race([ended, late]);
    },

    close: () => dependent.stop(),
  };
}
