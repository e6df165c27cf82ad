import { workflowInfo } from '@temporalio/workflow';
import { EVENT_REQUESTER } from '../rotation/events';
import type { EventResult, ForeignChangeEvent, KeyturnEvent, KmsKeyEvent } from '../rotation/events';
import { secretIdOf } from '../rotation/names';
import { noteChanges } from './changes';
import { checkEvent } from './events/admission';
import { rotateLeaked } from './events/leak';
import { activitiesFor } from './saga/activities';
import { tellPeople } from './saga/telling';

/** How long it is tried to find out what a KMS key is used for. */
const LOOKING_MS = 60 * 60_000;

/**
 * Acts on one event from outside: tells people, and rotates a secret that leaked if the catalog says so. The worker starts it for each
 * message of its queue, under an ID that is made of the event's own, so that an event that is delivered twice is acted on once.
 *
 * @throws RotationRefused and the rotation's own failures for a leaked secret that was not rotated.
 */
export async function handleEvent(event: KeyturnEvent): Promise<EventResult> {
  noteChanges();
  checkEvent(event);
  if (event.kind === 'foreign-change') return tellOfChange(event);
  if (event.kind === 'kms-key') return tellOfKmsKey(event);
  const { environment, secret, reason, rotate } = event;
  const secretId = secretIdOf(environment, secret);
  await tellPeople({
    environment,
    secret,
    event: 'leak-reported',
    severity: 'critical',
    message: `${secretId} is said to have leaked: ${reason}. ${rotate ? 'It is being rotated as an emergency.' : 'Nothing was done: the catalog says events.leak: notify.'}`,
    ...(rotate && { next: `keyturn status ${secretId}` }),
    requestedBy: EVENT_REQUESTER,
    reason,
  });
  return rotate ? rotateLeaked(event) : { outcome: 'told' };
}

async function tellOfChange({ environment, secret, operation, by, at }: ForeignChangeEvent): Promise<EventResult> {
  await tellPeople({
    environment,
    secret,
    event: 'changed-elsewhere',
    severity: 'warning',
    message: `${by} called ${operation} on ${secretIdOf(environment, secret)} at ${at}, without Keyturn. Its value may no longer open its target.`,
    requestedBy: EVENT_REQUESTER,
    reason: operation,
  });
  return { outcome: 'told' };
}

async function tellOfKmsKey({ keyId, change, by, at }: KmsKeyEvent): Promise<EventResult> {
  const reason = `the KMS key ${keyId} was ${change}`;
  const uses = await activitiesFor({
    subject: { secretId: `kms/${keyId}`, requestedBy: EVENT_REQUESTER, reason },
    step: 'findKmsKeyUses',
    summary: `find what the KMS key ${keyId} encrypts`,
    limitMs: LOOKING_MS,
    onAuditDown: () => undefined,
  }).write.findKmsKeyUses({ keyId });
  for (const { environment, secrets, backups } of uses) {
    const what = [...(secrets.length > 0 ? [namesOf(environment, secrets)] : []), ...(backups ? ['the backups'] : [])];
    const consequence =
      change === 'rotated'
        ? 'What it encrypts can be read as before.'
        : 'They cannot be read, and not be rotated, without it.';
    await tellPeople(
      {
        environment,
        event: 'kms-key-changed',
        severity: change === 'rotated' ? 'info' : 'critical',
        message: `The KMS key ${keyId} was ${change}${by === undefined ? '' : ` by ${by}`} at ${at}. It encrypts ${what.join(' and ')} of ${environment}. ${consequence}`,
        next: `aws kms describe-key --key-id ${keyId}`,
        requestedBy: EVENT_REQUESTER,
        reason,
      },
      workflowInfo().workflowId,
    );
  }
  return { outcome: uses.length > 0 ? 'told' : 'nothing-affected' };
}

const MOST_NAMED = 5;

function namesOf(environment: string, secrets: readonly string[]): string {
  const named = secrets.slice(0, MOST_NAMED).map((secret) => secretIdOf(environment, secret));
  const more = secrets.length - named.length;
  return `${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
