import { isCancellation, ParentClosePolicy, startChild } from '@temporalio/workflow';
import { LISTED } from '../rotation/ages';
import type { AgesReport, CheckAgesInput, SecretAgeEntry } from '../rotation/ages';
import { parseDuration } from '../rotation/durations';
import { AGE_CHECK_FAILED, Cause } from '../rotation/errors';
import { FLEET_WORKFLOW, fleetWorkflowId } from '../rotation/names';
import { EVENT_SEVERITY } from '../rotation/notifications';
import { lookAtAll } from './ages/look-at-all';
import { namedOverdue } from './ages/naming';
import { isInForce, noteChanges } from './changes';
import type { rotateEnvironment } from './rotate-environment';
import { checkEnvironmentInput } from './saga/environment-input';
import { causeOf, environmentFailed, refuse } from './saga/failures';
import { concernsOthers, tellOfFailedLook } from './saga/refusals';
import { tellPeople } from './saga/telling';

/**
 * Looks how old the secrets below an environment's name are, those too that the catalog does not declare. People are told once of all
 * that are overdue; when none is by the catalog's own limits, those who have an incident open because of it.
 */
export async function checkSecretAges(input: CheckAgesInput): Promise<AgesReport> {
  noteChanges();
  try {
    const limitMs = admit(input);
    const { environment, requestedBy, reason, start, tell = true } = input;
    const secrets = await lookAtAll(input, { limitMs });
    const overdue = secrets.filter((secret) => secret.overdue);
    const isOver = overdue.length === 0 && limitMs === undefined;
    if (tell && (overdue.length > 0 || (isOver && isInForce('that-nothing-is-overdue-is-told')))) {
      await tellPeople({
        environment,
        event: 'overdue',
        severity: isOver ? 'info' : EVENT_SEVERITY.overdue,
        message: isOver ? `Nothing is overdue in ${environment}.` : overdueText(environment, overdue),
        next: `keyturn ages ${environment}`,
        requestedBy,
        reason,
      });
    }
    return {
      environment,
      checkedAt: new Date().toISOString(),
      total: secrets.length,
      overdue: overdue.length,
      secrets: secrets.slice(0, LISTED),
      ...(start && { started: await startFleet(input) }),
    };
  } catch (error) {
    if (isCancellation(error)) throw error;
    const cause = causeOf(error);
    if (concernsOthers(cause) && input.tell !== false) {
      const { environment } = input;
      await tellOfFailedLook(input, cause, {
        what: 'ages',
        consequence: `The ages of the secrets of ${environment} could not be checked, and what is overdue is not known`,
        next: `keyturn ages ${environment}`,
      });
    }
    throw environmentFailed(AGE_CHECK_FAILED, 'lookAtAges', cause);
  }
}

/** @returns the limit in milliseconds. */
function admit(input: CheckAgesInput): number | undefined {
  checkEnvironmentInput(input, ['environment', 'limit', 'reason', 'requestedBy'], { others: ['start', 'tell'] });
  for (const name of ['start', 'tell'] as const) {
    if (input[name] !== undefined && typeof input[name] !== 'boolean') {
      throw refuse(Cause.BadInput, `the input's field ${name} is not true or false; nothing was started.`);
    }
  }
  if (input.limit === undefined) return undefined;
  const limitMs = parseDuration(input.limit);
  if (limitMs === undefined || limitMs === 0) {
    throw refuse(Cause.BadInput, `the input's limit is not a duration such as '90 days'; nothing was started.`);
  }
  return limitMs;
}

async function startFleet({ environment, requestedBy, reason }: CheckAgesInput): Promise<AgesReport['started']> {
  const workflowId = fleetWorkflowId({ environment });
  try {
    await startChild<typeof rotateEnvironment>(FLEET_WORKFLOW, {
      workflowId,
      args: [{ environment, due: true, reason: reason ?? 'an age check found it due', requestedBy }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `Rotate what is due in ${environment}`,
    });
    return { workflowId };
  } catch (error) {
    if (error instanceof Error && error.name === 'WorkflowExecutionAlreadyStartedError') {
      return { workflowId, problem: 'it runs already, and nothing further was started' };
    }
    throw error;
  }
}

function overdueText(environment: string, overdue: readonly SecretAgeEntry[]): string {
  const what = overdue.length === 1 ? '1 secret is' : `${overdue.length} secrets are`;
  return `${what} overdue in ${environment}: ${namedOverdue(overdue, overdue.length)}.`;
}
