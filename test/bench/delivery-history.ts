import type { WorkflowHandle } from '@temporalio/client';
import type { RotationRun } from '../../src/client/keyturn-client';
import type { DeliveryTimes } from './delivery-contenders';
import type { Stage } from './stage';

type HistoryEvent = NonNullable<Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events']>[number];

interface ActivityTimes {
  /** Its type. */
  name: string;
  /** Milliseconds since the epoch; of its last attempt. */
  startedAt: number;
  endedAt: number;
}

/** Reads from a rotation's history how long its delivery took. */
export async function deliveryTimes({ temporal }: Stage, { workflowId, runId }: RotationRun): Promise<DeliveryTimes> {
  const { events } = await temporal.workflow.getHandle(workflowId, runId).fetchHistory();
  const activities = activitiesIn(events ?? []);
  const named = (wanted: string) => activities.filter(({ name }) => name === wanted);
  const [promoted] = named('moveLabels');
  const [synced] = named('syncToKubernetes');
  const restarted = named('restartWorkload');
  if (!promoted || !synced || restarted.length === 0) throw new Error(`${workflowId} delivered nothing to Kubernetes`);
  return {
    syncedMs: synced.endedAt - promoted.startedAt,
    readyMs: Math.max(...restarted.map(({ endedAt }) => endedAt)) - promoted.startedAt,
  };
}

function activitiesIn(events: HistoryEvent[]): ActivityTimes[] {
  return events.flatMap((ended) => {
    const completed = ended.activityTaskCompletedEventAttributes;
    if (!completed) return [];
    const event = (id: typeof completed.startedEventId) => events.find(({ eventId }) => String(eventId) === String(id));
    const scheduled = event(completed.scheduledEventId)?.activityTaskScheduledEventAttributes;
    const started = event(completed.startedEventId);
    if (!started) return [];
    return [{ name: scheduled?.activityType?.name ?? '', startedAt: timeOf(started), endedAt: timeOf(ended) }];
  });
}

function timeOf({ eventTime }: HistoryEvent): number {
  return Number(eventTime?.seconds ?? 0) * 1_000 + (eventTime?.nanos ?? 0) / 1e6;
}
