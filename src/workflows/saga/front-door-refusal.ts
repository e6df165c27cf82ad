import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import type { ApplicationFailure } from '@temporalio/workflow';
import { Cause } from '../../rotation/errors';
import type { RefusedDetails } from '../../rotation/errors';
import { secretIdOf } from '../../rotation/names';
import type { SecretType } from '../../rotation/names';
import type { RotationInput } from '../../rotation/types';
import { activitiesFor } from './activities';
import { rotationRefused } from './failures';
import { isOfCatalog, tellOfCatalog, tellOfRefusal, tellsOfRefusals } from './refusals';

/**
 * Ends a rotation that the front door could not start: since there is no rotation that would do it, the outcome goes from here to the
 * metrics, the audit trail and people. That an emergency gave up because of what is in its way they have been told.
 *
 * @param type absent when the plan could not be loaded.
 */
export async function refuseAtFrontDoor(
  input: RotationInput,
  details: RefusedDetails,
  type: SecretType | undefined,
): Promise<ApplicationFailure> {
  const { environment, secret, emergency, dryRun, requestedBy, reason } = input;
  const { step, cause } = details;
  const secretId = secretIdOf(environment, secret);
  const failure = rotationRefused(secretId, details);
  if (dryRun || !tellsOfRefusals()) return failure;
  await CancellationScope.nonCancellable(async () => {
    const { read } = activitiesFor({
      subject: { secretId, requestedBy, reason },
      step: 'recordOutcome',
      summary: 'record the outcome: refused',
      onAuditDown: () => undefined,
    });
    await read.recordOutcome({
      environment,
      type,
      outcome: 'refused',
      durationMs: Date.now() - workflowInfo().startTime.getTime(),
      versions: {},
      failedStep: step,
      cause: cause.type,
    });
    if (cause.type === Cause.InTheWay) return;
    if (isOfCatalog(cause) && !emergency) return tellOfCatalog(input, cause);
    await tellOfRefusal(input, failure.message, `keyturn rotate ${secretId}${emergency ? ' --emergency' : ''}`);
  });
  return failure;
}
