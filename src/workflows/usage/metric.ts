import { isCancellation } from '@temporalio/workflow';
import type { StepInput } from '../../activities/step-input';
import { secretIdOf } from '../../rotation/names';
import type { MonitorUsageInput, UsageStatus } from '../../rotation/usage';
import { isOfVersion, metricText, nextClosedAt, nextSpan, oldestFrom, startOf } from '../../rotation/usage-metric';
import type { MetricProgress, MetricSpan, UsageMetric } from '../../rotation/usage-metric';
import { isInForce } from '../changes';
import { activitiesFor } from '../saga/activities';
import { causeOf } from '../saga/failures';
import type { Counts } from './counter';

/** What is counted by a metric. Plain JSON; times are milliseconds since the epoch. */
export interface MetricState {
  /** As the catalog says it; absent since it no longer does. */
  declared?: UsageMetric;
  /** Absent until the first reading. */
  progress?: MetricProgress;
  /** The version that `progress.since` is of; absent when it is to be asked again. */
  of?: string;
  total: number;
  /** Periods that were too old when they could be read. */
  lost?: { from: number; until: number };
  /** Readings in a row that failed. */
  failures: number;
  problem?: { message: string; retryAt: number };
}

/** What a reading needs to know of the monitor. */
export interface Counted {
  counts: Counts;
  version?: string;
  metric?: MetricState;
  rotation?: { startedAt: number; uses: number };
}

/** How long one reading is tried, and after which pauses it is tried anew. */
const PATIENCE_MS = 60_000;
const RETRY_MS = { first: 60_000, longest: 15 * 60_000 };

/** Counts the uses that a metric tells: each closed period once, in the order of time. */
export class MetricCounter {
  private readonly audited: Omit<StepInput, 'step'>;

  constructor(
    subject: MonitorUsageInput,
    requestedBy: string,
    private readonly state: Counted,
  ) {
    this.audited = { secretId: secretIdOf(subject.environment, subject.secret), requestedBy };
  }

  /** What the catalog says now. What was counted stays known when it no longer names a metric: it may do so again. */
  declare(declared: UsageMetric | undefined): void {
    const { metric } = this.state;
    if (declared && isInForce('metrics-count-uses')) {
      this.state.metric = { ...(metric ?? { total: 0, failures: 0 }), declared };
    } else if (metric) {
      delete metric.declared;
      delete metric.problem;
      metric.failures = 0;
    }
  }

  /** When it wants to be read; `undefined` for never. */
  dueAt(): number | undefined {
    const { declared, progress, problem } = this.state.metric ?? {};
    if (!declared) return undefined;
    if (problem) return problem.retryAt;
    return progress ? nextClosedAt(progress.countedUntil, declared) : 0;
  }

  /** From now on uses are those of a version that a rotation is about to bring. */
  startVersion(): void {
    const { metric } = this.state;
    if (metric?.progress) metric.progress.since = Date.now();
  }

  /** The rotation has ended. @param version the one that it brought. */
  settle(version: string | undefined): void {
    const { metric } = this.state;
    if (!metric) return;
    if (version === undefined) delete metric.of;
    else metric.of = version;
  }

  status(): UsageStatus['metric'] {
    const { declared, progress, total, lost, problem } = this.state.metric ?? {};
    if (!declared) return undefined;
    return {
      name: metricText(declared),
      total: total ?? 0,
      ...(progress && { countedUntil: timeText(progress.countedUntil) }),
      ...(lost && { lost: { from: timeText(lost.from), until: timeText(lost.until) } }),
      ...(problem && { problem: { message: problem.message, retryAt: timeText(problem.retryAt) } }),
    };
  }

  /** Counts all periods that are closed. The version in use must just have been looked at. Never fails. */
  async read(): Promise<void> {
    const { metric } = this.state;
    const due = this.dueAt();
    if (!metric?.declared || due === undefined || due > Date.now()) return;
    try {
      const progress = await this.progressOf(metric, metric.declared);
      let span: MetricSpan | undefined;
      while ((span = nextSpan(progress, metric.declared, Date.now()))) {
        const { uses } = await this.perform(`count ${metricText(metric.declared)}`).sumUsageMetric({
          metric: metric.declared,
          span,
        });
        this.count(metric, progress, span, uses);
      }
      metric.failures = 0;
      delete metric.problem;
    } catch (error) {
      if (isCancellation(error)) return;
      const pause = Math.min(RETRY_MS.first * 2 ** metric.failures, RETRY_MS.longest);
      metric.failures++;
      metric.problem = { message: causeOf(error).message, retryAt: Date.now() + pause };
    }
  }

  /** Uses before the rotation was started are the old version's, which gets them back if it stays. */
  private count(metric: MetricState, progress: MetricProgress, span: MetricSpan, uses: number): void {
    const { counts, rotation } = this.state;
    if (span.from > progress.countedUntil) metric.lost = { from: progress.countedUntil, until: span.from };
    progress.countedUntil = span.until;
    metric.total += uses;
    counts.total += uses;
    if (isOfVersion(span, progress)) counts.uses += uses;
    else if (rotation) rotation.uses += uses;
  }

  /** Where counting stands; it begins with the version in use, or with now where uses of it were reported before. */
  private async progressOf(metric: MetricState, declared: UsageMetric): Promise<MetricProgress> {
    const { counts, version, rotation } = this.state;
    if (metric.progress && (rotation || metric.of === version)) return metric.progress;
    const since = rotation?.startedAt ?? (await this.versionStart());
    if (metric.progress) {
      metric.progress.since = since;
    } else {
      const now = Date.now();
      const begin = Math.max(startOf(counts.uses > 0 ? now : since, declared.periodMs), oldestFrom(declared, now));
      metric.progress = { countedUntil: begin, since };
    }
    if (!rotation) metric.of = version;
    return metric.progress;
  }

  private async versionStart(): Promise<number> {
    const { since } = await this.perform('see when the version in use was made').findVersionStart({});
    return since ?? Date.now();
  }

  private perform(what: string) {
    return activitiesFor({
      subject: this.audited,
      step: 'readUsageMetric',
      summary: `${what}, for ${this.audited.secretId}`,
      limitMs: PATIENCE_MS,
      onAuditDown: () => undefined,
    }).write;
  }
}

const timeText = (time: number) => new Date(time).toISOString();
