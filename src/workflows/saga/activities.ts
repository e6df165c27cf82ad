import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  TimeoutFailure,
  proxyActivities,
  proxyLocalActivities,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { RetryPolicy } from '@temporalio/common';
import type { Activities } from '../../activities';
import type { NotifyInput } from '../../activities/notify/activities';
import type { StepInput } from '../../activities/step-input';
import { Cause } from '../../rotation/errors';
import type { RotationStatus } from '../../rotation/types';
import { causeOf } from './failures';
import type { GraceOptions } from './grace-period';

/** Activities without the fields that the saga fills in; it may be said that somebody else than the rotation's requester asks. */
type Audited<A> = {
  [K in keyof A]: A[K] extends (input: infer I) => infer R
    ? (input: Omit<I, keyof StepInput> & Partial<Pick<StepInput, 'requestedBy' | 'reason'>>) => R
    : never;
};

/**
 * Reads and probes change nothing, so a lost one is simply made again. recordOutcome only leaves a count and an audit record, and
 * either may be there twice.
 */
type Reads = Pick<
  Activities,
  | 'loadPlan'
  | 'inspectSecret'
  | 'confirmCurrentLogin'
  | 'proveLogin'
  | 'verifyAsApplication'
  | 'proveOldPasswordRefused'
  | 'describeRotation'
  | 'recordOutcome'
  | 'findChannels'
  | 'lookAtDependents'
  | 'inspectKeys'
  | 'confirmCurrentKey'
  | 'proveKey'
  | 'lastUseOfKey'
  | 'proveOldKeyRefused'
  | 'loadBackupPlan'
  | 'loadRestorePlan'
  | 'findBackup'
  | 'findWayIn'
  | 'proveBackedUpKey'
>;

type LongActivity =
  | 'syncToKubernetes'
  | 'restartWorkload'
  | 'deployToEcs'
  | 'backUpSecrets'
  | 'backUpBeforeRotation'
  | 'openBackup'
  | 'compareWithBackup';

/** What a step can do, by how it may be repeated. */
export interface StepActivities {
  /** Local activities where that works at once: no task of their own, which saves most of a step's time. */
  read: Audited<Reads>;
  /** Regular activities with a minute for one attempt. */
  write: Audited<Omit<Activities, keyof Reads>>;
  /** What waits for others by being tried again, for that many milliseconds in all. */
  wait(limitMs: number): Audited<Pick<Activities, 'deliver' | 'waitForSessionsToEnd'>>;
  /**
   * What waits itself, sending heartbeats, for that many milliseconds in one attempt; one whose worker died is begun again.
   *
   * @param patienceMs for how long it is begun again at most; as long as any activity of the step when absent.
   */
  waitLong(attemptMs: number, patienceMs?: number): Audited<Pick<Activities, LongActivity>>;
  /** Waits, durably, until the grace period's end; operators may move that end meanwhile. */
  waitOutGracePeriod(options: GraceOptions): Promise<void>;
  /** Waits, durably, until a time in milliseconds since the epoch. */
  pauseUntil(time: number): Promise<void>;
  /** When the grace period began, in milliseconds since the epoch; it begins with the first asking. */
  graceStart(): number;
  /** Whether an operator ended the last stretch of the grace period. */
  graceWasEnded(): boolean;
  /** Lets `status` show the provider's public IDs of the keys. */
  show(keys: NonNullable<RotationStatus['keys']>): void;
  /** Notifies people. It waits a minute at most, and never fails. */
  tell(notification: Notification): Promise<void>;
}

/** What people are told, without what every step knows. */
export type Notification = Pick<NotifyInput, 'event' | 'severity' | 'message'>;

/**
 * A killed worker is noticed this long after its last heartbeat. Less would gain little: for ten seconds after its last poll the server
 * takes a worker for alive, and offers it the rotation's next workflow task first.
 */
const HEARTBEAT_TIMEOUT_MS = 10_000;
const ATTEMPT_MS = 60_000;
/** A local attempt holds the workflow's task, and with it the answer to `status`; longer than a refused connection it may not take. */
const LOCAL_ATTEMPT_MS = 8_000;
/**
 * An abort waits for the activity that runs: undone while it still ran, it would take effect afterwards. Said here because without
 * it the SDK (1.24.0) sends TRY_CANCEL, whatever its documentation says of the default.
 */
const CANCELLATION = { cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED } as const;
/**
 * The pauses stay short because a rotation may stand where AWSCURRENT does not open its target yet, and should go on soon after an
 * outage; that a target is not besieged meanwhile is seen to by its circuit breaker.
 */
const RETRY = { initialInterval: 1_000, backoffCoefficient: 2, maximumInterval: 10_000 };

/**
 * While auditing is down a rotation waits a tenth of the time that it has been down, within these bounds: it goes on soon after a short
 * outage, and a long one does not fill its history.
 */
const AUDIT_PAUSE_MS = { shortest: 2_000, longest: 300_000 };

export interface Performance {
  subject: Omit<StepInput, 'step'>;
  step: string;
  /** Shown beside each activity in the web UI. */
  summary: string;
  /** How long one activity is retried, in milliseconds; for ever when absent. */
  limitMs?: number;
  /** How regular activities are tried again; after pauses of ten seconds at most when absent. */
  retry?: RetryPolicy;
  /** Called with true when auditing is found down, and with false when it works again. */
  onAuditDown(down: boolean): void;
}

type Call = (input: object) => Promise<unknown>;

/** The activities as one step performs them. */
export function activitiesFor(performance: Performance): Pick<StepActivities, 'read' | 'write' | 'wait' | 'waitLong'> {
  const { summary, limitMs, retry = RETRY } = performance;
  // The server lets activities inherit it, but shows that nowhere.
  const priorityKey = workflowInfo().priority?.priorityKey;
  const regular = {
    ...CANCELLATION,
    summary,
    retry,
    ...(priorityKey !== undefined && { priority: { priorityKey } }),
    heartbeatTimeout: HEARTBEAT_TIMEOUT_MS,
    ...(limitMs !== undefined && { scheduleToCloseTimeout: limitMs }),
  };
  const local = proxyLocalActivities<Record<string, Call>>({
    ...CANCELLATION,
    summary,
    startToCloseTimeout: LOCAL_ATTEMPT_MS,
    retry: { maximumAttempts: 1 },
  });
  const quick = proxyActivities<Record<string, Call>>({ ...regular, startToCloseTimeout: ATTEMPT_MS });
  const patient = (forMs: number) =>
    proxyActivities<Record<string, Call>>({
      ...regular,
      startToCloseTimeout: ATTEMPT_MS,
      scheduleToCloseTimeout: forMs,
    });
  const long = (attemptMs: number, patienceMs = limitMs ?? 0) =>
    proxyActivities<Record<string, Call>>({
      ...regular,
      startToCloseTimeout: attemptMs + ATTEMPT_MS,
      scheduleToCloseTimeout: attemptMs + ATTEMPT_MS + Math.min(limitMs ?? 0, patienceMs),
    });
  return {
    read: audited((name) => localFirst(callOf(local, name), callOf(quick, name)), performance),
    write: audited((name) => callOf(quick, name), performance),
    waitLong: (attemptMs, patienceMs) => audited((name) => callOf(long(attemptMs, patienceMs), name), performance),
    wait: (forMs) => audited((name) => callOf(patient(forMs), name), performance),
  };
}

/** A name that no activity has fails in the worker, like every other. */
function callOf(activities: Record<string, Call>, name: string): Call {
  return activities[name] as Call;
}

/**
 * What looks is tried in this very task first. When that does not work at once it becomes a regular activity, whose attempts and last
 * failure operators can see, and whose waiting holds no task.
 */
function localFirst(local: Call, regular: Call): Call {
  return async (input) => {
    try {
      return await local(input);
    } catch (error) {
      const cause = error instanceof ActivityFailure ? error.cause : error;
      const mayPass = cause instanceof TimeoutFailure || (cause instanceof ApplicationFailure && !cause.nonRetryable);
      if (!mayPass) throw error;
      return regular(input).catch((later: unknown) => {
        throw saysNothing(later) ? error : later;
      });
    }
  };
}

/** A regular attempt that nobody took up in time says less than the local one did. */
function saysNothing(error: unknown): boolean {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof TimeoutFailure && !cause.cause;
}

/** Adds what the audit trail needs to every call, and waits with it while auditing is down. */
function audited<A>(callNamed: (name: string) => Call, { subject, step, onAuditDown }: Performance): A {
  return new Proxy(
    {},
    {
      get: (_target, name) => async (own: object) => {
        let downSince: number | undefined;
        for (;;) {
          try {
            const result = await callNamed(String(name))({ ...subject, step, ...own });
            if (downSince !== undefined) onAuditDown(false);
            return result;
          } catch (error) {
            if (causeOf(error).type !== Cause.AuditUnavailable) throw error;
            downSince ??= Date.now();
            onAuditDown(true);
            const { shortest, longest } = AUDIT_PAUSE_MS;
            const pause = Math.min(Math.max((Date.now() - downSince) / 10, shortest), longest);
            await sleep(pause, { summary: 'auditing is down: waiting' });
          }
        }
      },
    },
  ) as A;
}
