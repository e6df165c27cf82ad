/** All schedule IDs of Keyturn begin with it. */
export const SCHEDULE_ID_PREFIX = 'keyturn/';
const SCHEDULE_ID =
  /^keyturn\/(?:rotation\/([^/]+)\/.+|(?:environment|ages|usage)\/([^/]+)|review\/([^/]+)(?:\/[^/]+)?)$/;

/** The environment that a schedule ID of Keyturn names; `undefined` for any other ID. */
export function environmentOf(scheduleId: string): string | undefined {
  const [, ofRotation, ofEnvironment, ofReview] = SCHEDULE_ID.exec(scheduleId) ?? [];
  return ofRotation ?? ofEnvironment ?? ofReview;
}

/** The ID of the schedule that rotates a secret. */
export function rotationScheduleId(secretId: string): string {
  return `${SCHEDULE_ID_PREFIX}rotation/${secretId}`;
}

/** Below this name a schedule's memo has the task queue of the Keyturn that created it. */
export const OWNER_MEMO = 'keyturnTaskQueue';
