import { isCancellation, ParentClosePolicy, startChild } from '@temporalio/workflow';
import { LISTED, oldestFirst } from '../rotation/ages';
import type { AgesReport, CheckAgesInput, SecretAgeEntry } from '../rotation/ages';
import { formatDuration, parseDuration } from '../rotation/durations';
import { AGE_CHECK_FAILED, Cause } from '../rotation/errors';
import { FLEET_WORKFLOW, fleetWorkflowId, secretIdOf } from '../rotation/names';
import { EVENT_SEVERITY } from '../rotation/notifications';
import type { rotateEnvironment } from './rotate-environment';
import { activitiesFor } from './saga/activities';
import { checkEnvironmentInput } from './saga/environment-input';
import { causeOf, environmentFailed, refuse } from './saga/failures';
import { tellPeople } from './saga/telling';

/** How long Secrets Manager is asked for one page. */
const LOOK_MS = 15 * 60_000;
/** How many secrets a notification names. */
const NAMED = 5;

/**
 * Looks how old the secrets below an environment's name are, those too that the catalog does not declare. People are told once of all
 * that are overdue.
 */
export async function checkSecretAges(input: CheckAgesInput): Promise<AgesReport> {
  try {
    const limitMs = admit(input);
    const { environment, requestedBy, reason, start, tell = true } = input;
    const secrets = oldestFirst(await lookAtAll(input, limitMs));
    const overdue = secrets.filter((secret) => secret.overdue);
    if (tell && overdue.length > 0) {
      await tellPeople({
        environment,
        event: 'overdue',
        severity: EVENT_SEVERITY.overdue,
        message: overdueText(environment, overdue),
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
    throw environmentFailed(AGE_CHECK_FAILED, 'lookAtAges', causeOf(error));
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

async function lookAtAll(
  { environment, requestedBy, reason }: CheckAgesInput,
  limitMs?: number,
): Promise<SecretAgeEntry[]> {
  const { write } = activitiesFor({
    subject: { secretId: secretIdOf(environment, '*'), requestedBy, reason },
    step: 'lookAtAges',
    summary: `see how old the secrets of ${environment} are`,
    limitMs: LOOK_MS,
    onAuditDown: () => undefined,
  });
  const found = new Map<string, SecretAgeEntry>();
  for (const declared of await write.listDeclared({ environment, limitMs })) found.set(declared.secret, declared);
  let from: string | undefined;
  do {
    const page: Awaited<ReturnType<typeof write.lookAtAges>> = await write.lookAtAges({ environment, limitMs, from });
    for (const listed of page.secrets) found.set(listed.secret, listed);
    from = page.next;
  } while (from !== undefined);
  return [...found.values()];
}

async function startFleet({ environment, requestedBy, reason }: CheckAgesInput): Promise<AgesReport['started']> {
  const workflowId = fleetWorkflowId(environment);
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
  const now = Date.now();
  const named = overdue.slice(0, NAMED).map(({ secret, type, since = '', limitMs }) => {
    const age = formatDuration(now - Date.parse(since));
    const undeclared = type === undefined ? ', not in the catalog' : '';
    return `${secret} (${age} old, may be ${formatDuration(limitMs)}${undeclared})`;
  });
  const more = overdue.length - named.length;
  const what = overdue.length === 1 ? '1 secret is' : `${overdue.length} secrets are`;
  return `${what} overdue in ${environment}: ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}.`;
}
