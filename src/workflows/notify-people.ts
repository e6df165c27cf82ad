import { log, workflowInfo } from '@temporalio/workflow';
import { Cause } from '../rotation/errors';
import { secretIdOf } from '../rotation/names';
import type { NotifyPeopleInput, NotifyPeopleResult } from '../rotation/notifications';
import { isInForce } from './changes';
import { activitiesFor } from './saga/activities';
import { causeOf, refuse } from './saga/failures';

/** A channel that is down is tried for an hour, at ever longer intervals. */
const LIMIT_MS = 60 * 60_000;
const RETRY = { initialInterval: 1_000, backoffCoefficient: 2, maximumInterval: 5 * 60_000 };

/**
 * Tells people by every channel that the catalog's routes name, each on its own, so that what they are told of need not wait for any
 * of them. What could not be sent is no failure: it is a line in the worker's log, `"event":"notification-not-sent"`, and in its result.
 *
 * It speaks of the workflow that started it. Its own ID says what is told of which run, and each ID is taken once, so that nobody is
 * told the same twice; what a channel gets has this run's ID as its own, whichever try it is.
 *
 * @throws BadInput where no workflow started it: people act on what they are told.
 */
export async function notifyPeople(input: NotifyPeopleInput): Promise<NotifyPeopleResult> {
  const { environment, secret, event, severity, requestedBy, reason } = input;
  const { firstExecutionRunId: id, parent, workflowId, runId, startTime } = workflowInfo();
  if (!parent && isInForce('people-are-told-by-workflows-alone')) {
    throw refuse(
      Cause.BadInput,
      'notifyPeople says what the workflow that starts it has found, and cannot be started by itself. Nobody was told.',
    );
  }
  const about = secret === undefined ? environment : secretIdOf(environment, secret);
  const activitiesTo = (summary: string) =>
    activitiesFor({
      subject: { secretId: about, requestedBy, reason },
      step: 'notify',
      summary,
      limitMs: LIMIT_MS,
      retry: RETRY,
      onAuditDown: () => undefined,
    });
  const result: NotifyPeopleResult = { sent: [], notSent: [] };
  const failed = (channel: string, error: unknown) => {
    const problem = causeOf(error).message;
    result.notSent.push({ channel, problem });
    log.error(`A notification was not sent: ${problem}`, {
      event: 'notification-not-sent',
      channel,
      about: event,
      environment,
      secret,
    });
  };

  const { channels: chosen, message, next, emergency } = input;
  const channels =
    chosen ??
    (await activitiesTo('find the channels')
      .read.findChannels({ environment, event, severity })
      .catch((error: unknown) => {
        failed('(the catalog)', error);
        return [];
      }));
  await Promise.all(
    channels.map(async (channel) => {
      try {
        await activitiesTo(`tell ${channel}: ${event}`).write.notify({
          channel,
          id,
          event,
          severity,
          environment,
          secret,
          message,
          next,
          emergency,
          workflow: { workflowId: parent?.workflowId ?? workflowId, runId: parent?.runId ?? runId },
          at: startTime.toISOString(),
        });
        result.sent.push(channel);
      } catch (error) {
        failed(channel, error);
      }
    }),
  );
  return result;
}
