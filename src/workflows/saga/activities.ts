import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  TimeoutFailure,
  proxyActivities,
  proxyLocalActivities,
  sleep,
} from '@temporalio/workflow';
import type { Activities } from '../../activities';
import type { StepInput } from '../../activities/step-input';
import { Cause } from '../../rotation/errors';
import { causeOf } from './failures';

/** Activities without the fields that the saga fills in. */
type Performed<A> = {
  [K in keyof A]: A[K] extends (input: infer I) => infer R ? (input: Omit<I, keyof StepInput>) => R : never;
};

/** Reads and probes: they change nothing, so a lost one is simply made again. */
type Reads = Pick<
  Activities,
  | 'loadPlan'
  | 'inspectSecret'
  | 'confirmCurrentLogin'
  | 'proveLogin'
  | 'verifyAsApplication'
  | 'proveOldPasswordRefused'
  | 'describeRotation'
>;

/** What a step can do, by how it may be repeated. */
export interface Does {
  /** Local activities where that works at once: no task of their own, which saves most of a step's time. */
  read: Performed<Reads>;
  /** Regular activities with a minute for one attempt. */
  write: Performed<Omit<Activities, keyof Reads>>;
  /** The same with as long for one attempt as for all: they wait for others. */
  wait: Performed<Pick<Activities, 'deliver' | 'waitForSessionsToEnd'>>;
  /** Waits, durably, for that many milliseconds; operators may prolong or end it meanwhile. */
  waitOutGracePeriod(milliseconds: number): Promise<void>;
}

/** A killed worker is noticed this long after its last heartbeat. */
const HEARTBEAT_TIMEOUT_MS = 10_000;
const ATTEMPT_MS = 60_000;
/** A local attempt holds the workflow's task, and with it the answer to `status`; longer than a refused connection it may not take. */
const LOCAL_ATTEMPT_MS = 8_000;
/**
 * An abort waits for the activity that runs: undone while it still ran, it would take effect afterwards. Said here because without
 * it the SDK (1.24.0) sends TRY_CANCEL, whatever its documentation says of the default.
 */
const CANCELLATION = { cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED } as const;
const RETRY = { initialInterval: 1_000, backoffCoefficient: 2, maximumInterval: 30_000 };

/** While auditing is down a rotation waits that long between two tries, and longer each time up to the second figure. */
const AUDIT_PAUSE_MS = { first: 2_000, longest: 300_000 };

export interface Performance {
  subject: Omit<StepInput, 'step'>;
  step: string;
  /** Shown beside each activity in the web UI. */
  summary: string;
  /** How long one activity is retried, in milliseconds; for ever when absent. */
  limitMs?: number;
  /** Called with true when auditing is found down, and with false when it works again. */
  onAuditDown(down: boolean): void;
}

type Call = (input: object) => Promise<unknown>;

/** The activities as one step performs them. */
export function activitiesFor(performance: Performance): Omit<Does, 'waitOutGracePeriod'> {
  const { summary, limitMs } = performance;
  const regular = {
    summary,
    retry: RETRY,
    heartbeatTimeout: HEARTBEAT_TIMEOUT_MS,
    ...(limitMs !== undefined && { scheduleToCloseTimeout: limitMs }),
  };
  const local = proxyLocalActivities<Record<string, Call>>({
    summary,
    startToCloseTimeout: LOCAL_ATTEMPT_MS,
    retry: { maximumAttempts: 1 },
  });
  const quick = proxyActivities<Record<string, Call>>({ ...regular, startToCloseTimeout: ATTEMPT_MS });
  const patient = proxyActivities<Record<string, Call>>({ ...regular, startToCloseTimeout: limitMs ?? ATTEMPT_MS });
  return {
    read: performed((name) => localFirst(callOf(local, name), callOf(quick, name)), performance),
    write: performed((name) => callOf(quick, name), performance),
    wait: performed((name) => callOf(patient, name), performance),
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
      return regular(input);
    }
  };
}

/** Adds what the audit trail needs to every call, and waits with it while auditing is down. */
function performed<A>(callNamed: (name: string) => Call, { subject, step, onAuditDown }: Performance): A {
  return new Proxy(
    {},
    {
      get: (_target, name) => async (own: object) => {
        for (let pause = AUDIT_PAUSE_MS.first; ; pause = Math.min(pause * 2, AUDIT_PAUSE_MS.longest)) {
          try {
            const result = await callNamed(String(name))({ ...subject, step, ...own });
            if (pause > AUDIT_PAUSE_MS.first) onAuditDown(false);
            return result;
          } catch (error) {
            if (causeOf(error).type !== Cause.AuditUnavailable) throw error;
            onAuditDown(true);
            await sleep(pause, { summary: 'auditing is down: waiting' });
          }
        }
      },
    },
  ) as A;
}
