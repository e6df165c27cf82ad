import { condition, isCancellation, ParentClosePolicy, startChild, workflowInfo } from '@temporalio/workflow';
import { Cause, USAGE_REFUSED } from '../../rotation/errors';
import { secretIdOf } from '../../rotation/names';
import type { MonitorUsageInput, UsageReport, UsageStatus } from '../../rotation/usage';
import { isInForce } from '../changes';
import type { rotate } from '../rotate';
import { activitiesFor } from '../saga/activities';
import { causeOf, environmentFailed } from '../saga/failures';
import { UsageCounter } from './counter';
import { interruptible } from './interruptible';
import { MetricCounter } from './metric';
import type { RotationUnderWay, UsageState } from './state';

/** While uses are reported, the version is looked at so often: somebody else may have rotated it. After a look that failed, too. */
const LOOK_EVERY_MS = 10 * 60_000;
/** A rotation under way is looked at after pauses of these. */
const ROTATION_LOOK_MS = { first: 2_000, longest: 10 * 60_000 };
/** After a rotation that brought nothing. */
const RETRY_MS = { first: 60 * 60_000, longest: 24 * 60 * 60_000 };
/** How long one look is tried. */
const PATIENCE_MS = 15 * 60_000;
const REQUESTED_BY = 'usage';

/** Counts the uses of a secret's version, and has it rotated when they are too many. */
export class UsageMonitor {
  private readonly counter: UsageCounter;
  private readonly metric: MetricCounter;
  private readonly secretId: string;

  constructor(
    private readonly subject: MonitorUsageInput,
    readonly state: UsageState,
  ) {
    this.counter = new UsageCounter(state.counts);
    this.metric = new MetricCounter(subject, REQUESTED_BY, state);
    this.secretId = secretIdOf(subject.environment, subject.secret);
  }

  /** @returns why the report was refused. */
  report(report: UsageReport): string | undefined {
    return this.counter.add(report);
  }

  /** The catalog names a metric; whoever says so may be wrong. */
  askLook(): void {
    if (!this.state.metric?.declared) this.state.lookAsked = true;
  }

  status(): UsageStatus {
    const { counts, limit, version, rotation, rotations, problem } = this.state;
    const { uses, total, reports, lastRefusal } = counts;
    const metric = this.metric.status();
    return {
      ...this.subject,
      uses,
      limit,
      version,
      total,
      reports,
      lastRefusal,
      rotations,
      ...(rotation && {
        rotation: {
          workflowId: rotation.workflowId,
          startedAt: new Date(rotation.startedAt).toISOString(),
          uses: rotation.uses,
        },
      }),
      ...(problem && { problem: { message: problem.message, retryAt: new Date(problem.retryAt).toISOString() } }),
      ...(metric && { metric }),
    };
  }

  /** Until the workflow's history is long enough. @throws UsageRefused when the catalog does not declare the secret. */
  async run(isLongEnough: () => boolean): Promise<void> {
    while (!isLongEnough()) {
      if (this.wantsLook()) {
        const looked = await interruptible(() => this.look(), isLongEnough);
        if (looked && !this.mayRotate()) {
          await interruptible(
            () => this.metric.read(),
            () => isLongEnough() || this.mayRotate(),
          );
        }
        if (looked && this.mayRotate()) await this.rotate();
      } else {
        await this.waitFor(() => isLongEnough() || this.wantsLook());
      }
    }
  }

  private async waitFor(something: () => boolean): Promise<void> {
    const { rotation, problem } = this.state;
    const next = problem?.retryAt ?? (rotation ? this.nextLookAt(rotation) : this.metric.dueAt());
    if (next === undefined) await condition(something);
    else await condition(something, Math.max(next - Date.now(), 1), { summary: 'before looking at the secret again' });
  }

  private wantsLook(): boolean {
    const { lookedAt, rotation, problem, counts, lookAsked } = this.state;
    const now = Date.now();
    if (problem) return now >= problem.retryAt;
    if (rotation) return now >= this.nextLookAt(rotation);
    if (lookedAt === undefined || lookAsked || this.isTooMuch()) return true;
    if (now >= (this.metric.dueAt() ?? Infinity)) return true;
    return counts.recent > 0 && now - lookedAt >= LOOK_EVERY_MS;
  }

  private nextLookAt({ startedAt, looks }: { startedAt: number; looks: number }): number {
    const { first, longest } = ROTATION_LOOK_MS;
    return Math.max(startedAt, this.state.lookedAt ?? 0) + Math.min(first * 2 ** looks, longest);
  }

  private isTooMuch(): boolean {
    const { limit, counts, rotation } = this.state;
    return limit !== undefined && !rotation && counts.uses >= limit;
  }

  private mayRotate(): boolean {
    return !this.state.problem && this.isTooMuch();
  }

  /** @returns whether it could be told what is. */
  private async look(): Promise<boolean> {
    const { state } = this;
    const { environment, secret } = this.subject;
    const before = state.counts.recent;
    state.counts.recent = 0;
    try {
      const { limit, version, metric, ended } = await activitiesFor({
        subject: { secretId: this.secretId, requestedBy: REQUESTED_BY },
        step: 'lookUpUsage',
        summary: `see which version of ${this.secretId} is in use`,
        limitMs: PATIENCE_MS,
        onAuditDown: () => undefined,
      }).write.lookUpUsage({
        environment,
        secret,
        rotation: state.rotation && { workflowId: state.rotation.workflowId, runId: state.rotation.runId },
      });
      state.limit = limit;
      this.metric.declare(metric);
      delete state.problem;
      delete state.lookAsked;
      if (state.rotation) this.settleRotation(version, ended);
      else if (state.version !== undefined && version !== state.version)
        state.counts.uses = before + state.counts.recent;
      if (!ended) state.version = version;
      state.lookedAt = Date.now();
      return true;
    } catch (error) {
      state.counts.recent += before;
      if (isCancellation(error)) return false;
      const cause = causeOf(error);
      if (cause.type === Cause.UnknownSecret && state.lookedAt === undefined) {
        const message = `uses of ${this.secretId} are not counted: ${cause.message}`;
        throw environmentFailed(USAGE_REFUSED, 'lookUpUsage', { ...cause, message });
      }
      state.problem = { message: cause.message, retryAt: Date.now() + LOOK_EVERY_MS };
      return false;
    }
  }

  /**
   * Uses that were reported after the rotation was started are the new version's; without one they are the old one's again. A rotation
   * that failed may have brought one all the same, or another that ran meanwhile.
   */
  private settleRotation(version: string | undefined, ended: { version?: string; problem?: string } | undefined): void {
    const { state } = this;
    const { rotation } = state;
    if (!rotation) return;
    if (!ended) {
      rotation.looks++;
      return;
    }
    delete state.rotation;
    state.version = ended.version ?? version;
    if (ended.version !== undefined || wasReplaced(rotation, version)) {
      state.failures = 0;
      this.metric.settle(state.version);
      return;
    }
    this.metric.settle(undefined);
    state.counts.uses += rotation.uses;
    this.noteFailure(ended.problem ?? 'the rotation brought no new version');
  }

  /** At once, and then nothing until its end is known. */
  private async rotate(): Promise<void> {
    const { state } = this;
    const { environment, secret } = this.subject;
    const { uses } = state.counts;
    const workflowId = `triggered/usage/${this.secretId}`;
    state.counts.uses = 0;
    state.counts.recent = 0;
    try {
      const from = state.version;
      const reason = `used ${uses} times; the catalog allows ${state.limit ?? 0}`;
      const { firstExecutionRunId: runId } = await startChild<typeof rotate>('rotate', {
        workflowId,
        args: [{ environment, secret, reason, requestedBy: REQUESTED_BY }],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `Rotate ${this.secretId} after ${uses} uses`,
      });
      state.rotations++;
      state.rotation = { workflowId, runId, startedAt: Date.now(), uses, looks: 0, from };
      this.metric.startVersion();
    } catch (error) {
      state.counts.uses += uses;
      this.noteFailure(causeOf(error).message);
    }
  }

  private noteFailure(message: string): void {
    const { first, longest } = RETRY_MS;
    const pause = Math.min(first * 2 ** this.state.failures, longest);
    this.state.failures++;
    this.state.problem = { message, retryAt: Date.now() + pause };
  }
}

/** Rotations that failed before versions were compared were taken for failures. */
function wasReplaced({ from }: RotationUnderWay, version: string | undefined): boolean {
  return from !== undefined && version !== undefined && version !== from && isInForce('a-version-brought-counts');
}

/** Whether the next run should go on: the server says so, or would soon refuse signals. */
export function isLongEnough(): boolean {
  return workflowInfo().continueAsNewSuggested;
}
