import type { WorkflowHandle } from '@temporalio/client';
import type { SecretType } from '../../src/rotation/names';
import type { Stage } from './stage';
import { ALTERNATING, APP_SECRET, singleUser } from './subjects';

type HistoryEvent = NonNullable<Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events']>[number];

/** What one rotation costs the Temporal server. */
export interface Footprint {
  recipe: string;
  events: number;
  historyBytes: number;
  workflowTasks: number;
  activities: { regular: number; local: number };
  actions: Actions;
}

/** Billable actions by kind; see {@link actionsIn}. */
export interface Actions {
  total: number;
  workflowStarted: number;
  activities: number;
  localActivityBatches: number;
  timers: number;
  signals: number;
  updates: number;
  searchAttributeUpserts: number;
}

const RECIPES: { recipe: string; secret: string; type: SecretType }[] = [
  { recipe: 'app secret', secret: APP_SECRET, type: 'app-secret' },
  { recipe: 'database, single-user', secret: singleUser('rotation', 0), type: 'database' },
  { recipe: 'database, alternating-users', secret: ALTERNATING, type: 'database' },
];

/** Rotates each recipe once to get its secret settled, and looks at the second rotation. */
export async function measureFootprints(stage: Stage): Promise<Footprint[]> {
  const footprints: Footprint[] = [];
  for (const { recipe, secret, type } of RECIPES) {
    await stage.rotate(secret, type);
    const { workflowId, runId } = await stage.rotate(secret, type);
    const handle = stage.temporal.workflow.getHandle(workflowId, runId);
    const { events } = await handle.fetchHistory();
    footprints.push(footprintOf(recipe, events ?? [], (await handle.describe()).historySize ?? 0));
  }
  return footprints;
}

function footprintOf(recipe: string, events: HistoryEvent[], historyBytes: number): Footprint {
  const count = (attributes: keyof HistoryEvent) => events.filter((event) => event[attributes]).length;
  return {
    recipe,
    events: events.length,
    historyBytes,
    workflowTasks: count('workflowTaskCompletedEventAttributes'),
    activities: {
      regular: count('activityTaskScheduledEventAttributes'),
      local: events.filter(isLocalActivity).length,
    },
    actions: actionsIn(events),
  };
}

/** How the SDK notes a local activity in history. */
const isLocalActivity = ({ markerRecordedEventAttributes }: HistoryEvent) =>
  markerRecordedEventAttributes?.markerName === 'core_local_activity';

/**
 * The billable actions of a history by Temporal's rules (https://docs.temporal.io/cloud/actions): a workflow's start, each attempt of
 * an activity, all local activities of one workflow task together, each timer, signal, update and upsert of search attributes.
 * Queries are not in a history; the rotations measured here are not asked for their status. Nor are heartbeats; here no activity
 * takes long enough for one.
 */
function actionsIn(events: HistoryEvent[]): Actions {
  const count = (attributes: keyof HistoryEvent) => events.filter((event) => event[attributes]).length;
  const tasksWithLocalActivities = events
    .filter(isLocalActivity)
    .map(({ markerRecordedEventAttributes }) => String(markerRecordedEventAttributes?.workflowTaskCompletedEventId));
  const actions = {
    workflowStarted: count('workflowExecutionStartedEventAttributes'),
    // The history shows an activity's last attempt, which says how many there were.
    activities: events.reduce((sum, event) => sum + (event.activityTaskStartedEventAttributes?.attempt ?? 0), 0),
    localActivityBatches: new Set(tasksWithLocalActivities).size,
    timers: count('timerStartedEventAttributes'),
    signals: count('workflowExecutionSignaledEventAttributes'),
    updates: count('workflowExecutionUpdateAcceptedEventAttributes'),
    searchAttributeUpserts: count('upsertWorkflowSearchAttributesEventAttributes'),
  };
  return { total: Object.values(actions).reduce((sum, number) => sum + number, 0), ...actions };
}
