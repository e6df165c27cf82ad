import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { WorkflowHandle } from '@temporalio/client';
import type { RotationResult, RotationStatus } from '../../src/rotation/types';
import { startDependent } from './dependent';
import { holdLogin } from './held-login';
import type { HeldLogin } from './held-login';
import type { KillPoint } from './kill-points';
import type { Point } from './pauses';
import type { Situation } from './situation';
import { createSubject, hasGracePeriod, LEAVES_MOST_AFTER } from './subjects';
import type { Subject } from './subjects';
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
  /** As it was before the rotation, and before one that was terminated; known once it is {@link arrange arranged}. */
  before: Situation;
  versionsBefore: string[];
  /** Lets happen what has to happen to the secret first. */
  arrange(): Promise<void>;
  /** How often its dependent was asked. */
  asked(): number;
  /** Starts it, and returns when it stands still at its point, or before the activity during which it is to be killed. */
  standStill(): Promise<void>;
  /** For any instant: starts it some time within the next second. */
  startSoon(): Promise<void>;
  /** For a point during an activity: returns when its statement has begun and waits, or its request has taken effect. */
  waitInside(): Promise<void>;
  /** To be called once the worker is dead: nothing holds the rotation any more. */
  letGo(): Promise<void>;
  end(withinMs: number): Promise<End>;
  close(): Promise<void>;
}

/** Longer than any worker that waits for the answer lives. */
const UNANSWERED_MS = 600_000;

/**
 * Makes the secret and all that its rotation needs to get to a point.
 *
 * @param dependents more of them, as the catalog says them.
 */
export async function prepareKilledRotation(
  bed: Testbed,
  at: KillPoint,
  secret: string,
  dependents: Record<string, unknown>[] = [],
): Promise<KilledRotation> {
  const waitsOnly = at.activity === undefined && (at.when === 'before' || at.when === 'after');
  // Where it has to fail, it should do so soon; else it has time until the last of all rotations stands still.
  const dependent = await startDependent(`the service of ${secret}`, at.undoing ? '1 second' : '10 minutes');
  const subject = await createSubject(bed, at.kind, secret, {
    dependents: [...dependents, dependent.declaration],
    ...(hasGracePeriod(at.kind) && { gracePeriod: waitsOnly ? '1 hour' : '1 second' }),
  }).catch(async (error: unknown) => {
    await dependent.stop();
    throw error;
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
    const left: Point = { secretId, step: LEAVES_MOST_AFTER[at.kind], when: 'after' };
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

  async function requestUnanswered(route: string): Promise<void> {
    const { service } = subject;
    const requests = service?.requests(route) ?? 0;
    service?.slowAnswers(route, UNANSWERED_MS);
    await bed.pauses.goOn(point);
    await until(`${secretId} has asked for ${route}`, () =>
      Promise.resolve((service?.requests(route) ?? 0) > requests),
    );
  }

  let asked = 0;
  const rotation: KilledRotation = {
    at,
    subject,
    before: { labels: {}, versions: {}, about: {}, roles: [], keys: [] },
    versionsBefore: [],
    asked: () => dependent.asked - asked,

    async arrange() {
      if (at.afterOne === 'rotated') await bed.rotate(secret);
      rotation.before = await subject.situation();
      rotation.versionsBefore = await bed.secrets.versionIds(secret);
      if (at.afterOne === 'terminated') await terminateOne();
      asked = dependent.asked;
    },

    async standStill() {
      if (at.undoing) {
        // Not healthy with the candidate. Only then is there a pause, so that the step is not held up going forward.
        let armed: Promise<void> | undefined;
        dependent.answer(async () => {
          if ((await bed.secrets.labels(secret)).current === rotation.before.labels.current) return 200;
          await (armed ??= bed.pauses.stopAt(point));
          return 503;
        });
      } else if (!waitsOnly) {
        await bed.pauses.stopAt(point);
      }
      handle = await bed.start(secret, { emergency: at.emergency });
      if (waitsOnly) return stepIs(at.step);
      await bed.pauses.reached(point);
    },

    async startSoon() {
      await delay(Math.random() * 1_000);
      handle = await bed.start(secret);
    },

    async waitInside() {
      if (at.request !== undefined) return requestUnanswered(at.request);
      held = await holdLogin(await loginConcerned());
      await bed.pauses.goOn(point);
      await held.isWaitedFor();
    },

    async letGo() {
      await bed.pauses.goOn(point);
      if (!held) return;
      const { roles } = await subject.situation();
      await held.release();
      if (isDeepStrictEqual(roles, (await subject.situation()).roles)) {
        throw new Error(`${at.step} did not take effect after the death of its worker`);
      }
    },

    async end(withinMs) {
      // A signal, because the server refuses updates for a while after a task's workers have died.
      if (waitsOnly) await handle.signal('endGracePeriod', { requestedBy: 'tester' });
      const late = delay(withinMs, undefined, { ref: false }).then(() => {
        throw new Error(`the rotation of ${secretId} has not ended within ${withinMs / 1_000} s`);
      });
      const ended = handle.result().then(
        (result) => ({ result: result as RotationResult }),
        async (error: unknown) => ({ failure: await failureOf(Promise.reject(error)) }),
      );
      return Promise.race([ended, late]);
    },

    async close() {
      await held?.release();
      await dependent.stop();
    },
  };
  return rotation;
}
