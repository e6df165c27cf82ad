import {
  ApplicationFailure,
  ChildWorkflowCancellationType,
  ChildWorkflowFailure,
  ParentClosePolicy,
  executeChild,
  getExternalWorkflowHandle,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';
import { longerPause, PATIENCE_MS } from '../../rotation/emergency';
import { Cause } from '../../rotation/errors';
import type { RefusedDetails } from '../../rotation/errors';
import { EVENT_REQUESTER } from '../../rotation/events';
import type { EventResult, LeakEvent } from '../../rotation/events';
import { rotationWorkflowId, SEARCH_ATTRIBUTES, secretIdOf } from '../../rotation/names';
import { PRIORITY } from '../../rotation/priority';
import type { AbortRequest, EndGracePeriodRequest } from '../../rotation/types';
import type { rotate } from '../rotate';
import { tellsOfGivingUp } from '../emergency/way-of-one';
import { activitiesFor } from '../saga/activities';
import { rotationRolledBack } from '../saga/failures';
import { tellsOfRefusals } from '../saga/refusals';
import { tellPeople } from '../saga/telling';

const ENVIRONMENT = defineSearchAttributeKey(SEARCH_ATTRIBUTES.environment, 'KEYWORD');
const SECRET = defineSearchAttributeKey(SEARCH_ATTRIBUTES.secret, 'KEYWORD');

/** The first pause after the front door of an earlier worker was refused, and how long one look is tried. */
const PAUSE_MS = 5_000;
const LOOKING_MS = 60_000;

/**
 * Rotates a secret that leaked, by the front door, which ends what is in the way. The front door of a worker that did not do that yet is
 * refused while another rotation runs; only then are its end waited for and the front door tried again here.
 */
export async function rotateLeaked(event: LeakEvent): Promise<EventResult> {
  const { environment, secret, reason } = event;
  const { workflowId, startTime } = workflowInfo();
  const since = startTime.getTime();
  const deadline = since + PATIENCE_MS;
  let pause = PAUSE_MS;
  let aborted: AbortRequest | undefined;
  for (let attempt = 1; ; attempt++) {
    try {
      const { outcome, ...abort } = await executeChild<typeof rotate>('rotate', {
        workflowId: `${workflowId}/rotate-${attempt}`,
        args: [{ environment, secret, reason, requestedBy: EVENT_REQUESTER, emergency: true }],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        // The rotation inherits it.
        priority: PRIORITY.emergency,
        // `keyturn status` finds it by them.
        typedSearchAttributes: [
          { key: ENVIRONMENT, value: environment },
          { key: SECRET, value: secret },
        ],
        staticSummary: `Rotate ${secretIdOf(environment, secret)}: it leaked`,
      });
      if (outcome !== 'aborted') return { outcome: 'rotated' };
      aborted = abort;
    } catch (error) {
      const failure = error instanceof ChildWorkflowFailure ? error.cause : error;
      if (!(failure instanceof ApplicationFailure)) throw error;
      if (!isInTheWay(failure) || Date.now() + pause > deadline) return giveUp(event, failure);
    }
    if (aborted) return giveUpAborted(event, aborted);
    await endGracePeriod(event);
    await sleep(pause, { summary: 'another rotation of the secret is waited for' });
    pause = longerPause(pause);
    if (await wasRotatedSince(event, since)) return { outcome: 'rotated-meanwhile' };
  }
}

function refusalOf(failure: ApplicationFailure): RefusedDetails | undefined {
  return failure.type === 'RotationRefused' ? (failure.details?.[0] as RefusedDetails | undefined) : undefined;
}

function isInTheWay(failure: ApplicationFailure): boolean {
  return refusalOf(failure)?.cause.type === Cause.AlreadyRunning;
}

/** A rotation tells of its own failure, and the front door that none was begun; those of earlier workers do not. @throws the failure. */
async function giveUp({ environment, secret, reason }: LeakEvent, failure: ApplicationFailure): Promise<never> {
  const { step, cause } = refusalOf(failure) ?? {};
  const told = cause?.type === Cause.InTheWay ? tellsOfGivingUp() : !isInTheWay(failure) && tellsOfRefusals();
  if (!told && (step === 'loadPlan' || step === 'start')) {
    await tellPeople({
      environment,
      secret,
      event: 'refused',
      severity: 'critical',
      message: failure.message,
      next: `keyturn rotate ${secretIdOf(environment, secret)} --emergency`,
      requestedBy: EVENT_REQUESTER,
      reason,
    });
  }
  throw failure;
}

/** An abort is no failure of the rotation, which tells of it in passing; what leaked is in use all the same. @throws RotationRolledBack */
async function giveUpAborted({ environment, secret, reason }: LeakEvent, abort: AbortRequest): Promise<never> {
  const secretId = secretIdOf(environment, secret);
  const by = abort.requestedBy ? ` by ${abort.requestedBy}` : '';
  const why = abort.reason ? ` (${abort.reason})` : '';
  const message = `the emergency rotation was aborted${by}${why}, and what leaked is still in use`;
  await tellPeople({
    environment,
    secret,
    event: 'aborted',
    severity: 'critical',
    message: `${secretId} leaked: ${message}.`,
    next: `keyturn rotate ${secretId} --emergency`,
    requestedBy: EVENT_REQUESTER,
    reason,
  });
  throw rotationRolledBack(secretId, { step: 'rotate', cause: { type: 'Aborted', message }, undone: [] });
}

/** A rotation that is not in a grace period refuses this by itself, and is over soon. */
async function endGracePeriod({ environment, secret, reason }: LeakEvent): Promise<void> {
  await getExternalWorkflowHandle(rotationWorkflowId(environment, secret))
    .signal<[EndGracePeriodRequest]>('endGracePeriod', { requestedBy: EVENT_REQUESTER, reason })
    .catch(() => undefined);
}

function wasRotatedSince({ environment, secret, reason }: LeakEvent, since: number): Promise<boolean> {
  return activitiesFor({
    subject: { secretId: secretIdOf(environment, secret), requestedBy: EVENT_REQUESTER, reason },
    step: 'wasRotatedSince',
    summary: 'see whether another rotation has done it',
    limitMs: LOOKING_MS,
    onAuditDown: () => undefined,
  })
    .write.wasRotatedSince({ environment, secret, since })
    .catch(() => false);
}
