import { activityInfo } from '@temporalio/activity';
import type { NotificationEvent, NotificationSettings, Severity } from '../../rotation/notifications';
import { channelsFor, nextCommand, runbookOf } from '../../rotation/notifications';
import type { CatalogSource } from '../catalog';
import { readCatalog } from '../catalog';
import type { StepInput } from '../step-input';
import type { NotifierParts } from './channels';
import { notifierOf } from './channels';
import type { Notification } from './notifier';
import { never } from './refusals';

export interface NotifyInput extends StepInput {
  /** Of the catalog; the worker's log when absent. */
  channel?: string;
  /** See {@link Notification}; made of the run when absent. */
  id?: string;
  event: NotificationEvent;
  severity: Severity;
  environment: string;
  secret?: string;
  message: string;
  next?: string;
  /** See {@link Notification}. */
  emergency?: true;
  /** The workflow that it is about; the one that asks when absent. */
  workflow?: { workflowId: string; runId: string };
  /** ISO 8601; now when absent. */
  at?: string;
}

export interface FindChannelsInput extends StepInput {
  environment: string;
  event: NotificationEvent;
  severity: Severity;
}

export function createNotifyActivities(catalog: CatalogSource, parts: NotifierParts) {
  /** People have to be told of a catalog too that cannot be read any more: then as the last one said that could. */
  const settings = async (environment: string): Promise<NotificationSettings> =>
    readCatalog(async () => {
      try {
        return (await catalog.load()).notifications(environment);
      } catch (error) {
        const last = catalog.lastRead();
        if (!last) throw error;
        return last.notifications(environment);
      }
    });

  return {
    /** The names of the channels that the catalog's routes tell of this. */
    async findChannels({ environment, event, severity }: FindChannelsInput): Promise<string[]> {
      return channelsFor((await settings(environment)).routes, event, severity);
    },

    /** Tells one channel, by its declaration of now. */
    async notify(input: NotifyInput): Promise<void> {
      const { channel: name, environment } = input;
      if (name === undefined) return parts.log.send(notificationOf(input));
      const { channels, runbooks } = await settings(environment);
      const channel = Object.hasOwn(channels, name) ? channels[name] : undefined;
      if (!channel)
        throw never(name, 'it is no longer in the catalog', 'Declare it again, or take it out of the routes.');
      return notifierOf(name, channel, parts).send(notificationOf(input, runbooks));
    },
  };
}

function notificationOf(input: NotifyInput, runbooks?: string): Notification {
  const { event, severity, environment, secret, message, emergency } = input;
  const { workflowId = '', runId = '' } = input.workflow ?? activityInfo().workflowExecution ?? {};
  return {
    id: input.id ?? `${runId}-${activityInfo().activityId}`,
    event,
    severity,
    environment,
    ...(secret !== undefined && { secret }),
    ...(emergency && { emergency }),
    message,
    next: input.next ?? nextCommand(event, environment, secret),
    runbook: runbookOf(event, runbooks),
    workflowId,
    runId,
    at: input.at ?? new Date().toISOString(),
  };
}
