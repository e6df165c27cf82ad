import { CancellationScope, condition, log, patched, sleep } from '@temporalio/workflow';
import { failedEntry, groupOf, shortened } from '../../rotation/fleet';
import type {
  EndedRotation,
  FleetEntry,
  FleetInput,
  FleetReport,
  FleetSecret,
  FleetStatus,
} from '../../rotation/fleet';
import { fleetNotification } from '../../rotation/fleet-telling';
import { noteEnd, noteStart, oldestFirst, startable, tooManyFailures } from '../../rotation/fleet-schedule';
import { rotationWorkflowId, secretIdOf } from '../../rotation/names';
import type { AbortRequest, OperatorRequest } from '../../rotation/types';
import { activitiesFor } from '../saga/activities';
import { causeOf } from '../saga/failures';
import { tellPeople } from '../saga/telling';
import { listenToFleetOperators } from './operators';
import { indexFleet, writeFleetLogbook } from './logbook';
import { newProgress, reportOf, statusOf } from './progress';
import type { FleetProgress, Running } from './progress';
import { alreadyRuns, startRotation } from './rotation';

/** How long the catalog and the secrets' ages are asked for. */
const SURVEY_MS = 15 * 60_000;
/** What is only good to know is asked for this long. */
const REMARK_MS = 60_000;
/** Pauses between two looks at rotations that an earlier run of this workflow has started. */
const LOOK_PAUSE_MS = { first: 1_000, longest: 60_000 };

const isoNow = () => new Date().toISOString();

/** An environment's rotation under way: what waits, what runs, what became of the others. */
export class Fleet {
  /** Calls of the server that the next run of the workflow could not wait for. */
  private pending = 0;
  private changed = false;
  private continuing = false;

  /** @param progress what an earlier run of this workflow has come to. */
  constructor(
    private readonly input: FleetInput,
    readonly progress: FleetProgress = newProgress(isoNow()),
  ) {
    listenToFleetOperators({
      status: () => this.status(),
      refusal: () => this.stopRefusal(),
      abort: (request) => this.abort(request),
      record: (request) => this.record(request),
      inGracePeriod: ({ secret, graceEndsAt }) => this.settle(secret, { outcome: 'in-grace-period', graceEndsAt }),
    });
    this.note();
  }

  /** Reads the catalog, and asks the secrets how old they are. Nothing was started when this fails. */
  async survey(): Promise<void> {
    const { environment, types, due = false, emergency, dryRun, concurrency } = this.input;
    const found: FleetSecret[] = [];
    for (let from: number | undefined = 0; from !== undefined;) {
      const page: Awaited<ReturnType<typeof this.surveyPage>> = await this.surveyPage({
        environment,
        types,
        due,
        spare: !emergency && !dryRun,
        from,
      });
      this.progress.policy = { ...page.policy, ...(concurrency !== undefined && { concurrency }) };
      found.push(...page.secrets);
      from = page.next;
    }
    // The catalog may have been edited between two pages.
    const distinct = [...new Map(found.map((secret) => [secret.secret, secret])).values()];
    for (const { secret, type, skip } of distinct) {
      if (skip) this.progress.settled.push({ secret, type, ...skip });
    }
    this.progress.waiting = oldestFirst(distinct.filter(({ skip }) => !skip));
    this.progress.phase = 'rotating';
    if (this.progress.stopped !== undefined) this.leave(() => true, this.progress.stopped);
    this.note();
  }

  /** @returns the report, or `undefined` when the workflow's history is long enough and the rest belongs into another. */
  async run(isLongEnough: () => boolean): Promise<FleetReport | undefined> {
    if (this.progress.running.length > 0) void this.watchTakenUp([...this.progress.running]);
    for (;;) {
      this.continuing ||= isLongEnough() && this.progress.waiting.length > 0;
      if (this.continuing && this.pending === 0) return undefined;
      if (!this.continuing) this.startMore();
      if (this.isOver()) return this.finish();
      this.changed = false;
      await condition(() => this.changed);
    }
  }

  /** Starts no more; what runs goes on. */
  abort({ reason, requestedBy }: AbortRequest): void {
    const by = requestedBy ? ` by ${requestedBy}` : '';
    this.stop(`aborted${by}${reason ? `: ${shortened(reason)}` : ''}`);
  }

  private status(): FleetStatus {
    return statusOf(this.input, this.progress);
  }

  private stopRefusal(): string | undefined {
    const { stopped, phase } = this.progress;
    if (stopped !== undefined) return `it starts no more already (${stopped})`;
    return phase === 'finished' ? 'it is over, and its report is being recorded' : undefined;
  }

  private isOver(): boolean {
    const { waiting, running } = this.progress;
    return waiting.length === 0 && running.length === 0 && this.pending === 0;
  }

  private startMore(): void {
    const { progress } = this;
    if (!progress.policy) return;
    const chosen = startable(
      progress.waiting,
      progress.running.map(({ of }) => of),
      progress.policy,
    );
    if (chosen.length === 0) return;
    const starting = new Set(chosen.map(({ secret }) => secret));
    progress.waiting = progress.waiting.filter(({ secret }) => !starting.has(secret));
    for (const secret of chosen) {
      const running: Running = { of: secret, startedAt: isoNow() };
      progress.running.push(running);
      noteStart(progress.attempts, secret);
      void this.start(running);
    }
    this.note();
  }

  private async start(running: Running): Promise<void> {
    const { secret } = running.of;
    this.pending++;
    try {
      const rotation = await startRotation(this.input, running.of);
      running.runId = rotation.runId;
      void rotation.ended.then((end) => this.settleEnd(end));
    } catch (error) {
      if (alreadyRuns(error)) {
        const workflowId = rotationWorkflowId(this.input.environment, secret);
        this.settle(secret, { outcome: 'already-running', workflowId, reason: await this.whatRuns(secret) });
      } else {
        const { type, message } = causeOf(error);
        this.settle(secret, failedEntry({ type, message }));
      }
    } finally {
      this.pending--;
      this.changed = true;
    }
  }

  /** The server tells a child's end only to the run that started it. */
  private async watchTakenUp(taken: Running[]): Promise<void> {
    const { environment } = this.input;
    let pause = LOOK_PAUSE_MS.first;
    for (;;) {
      const open = taken.filter((running) => this.progress.running.includes(running));
      if (open.length === 0 || this.continuing) return;
      const rotations = open.map(({ of, runId = '' }) => ({ secret: of.secret, runId }));
      this.pending++;
      try {
        const summary = `see how ${rotations.length} rotations stand`;
        const ended = await this.activities('watch', summary).write.lookAtRotations({ environment, rotations });
        for (const end of ended) this.settleEnd(end);
      } catch (error) {
        for (const { of } of open) this.settleEnd({ secret: of.secret, failure: causeOf(error) });
      } finally {
        this.pending--;
        this.changed = true;
      }
      await sleep(pause, { summary: 'before looking at the rotations again' });
      pause = Math.min(pause * 2, LOOK_PAUSE_MS.longest);
    }
  }

  private settleEnd({ secret, outcome, failure }: EndedRotation): void {
    this.settle(secret, failure ? failedEntry(failure) : { outcome: outcome ?? 'failed' });
  }

  /** Notes what became of a rotation that runs; one that was noted before stays as it was. */
  private settle(secret: string, about: Omit<FleetEntry, 'secret' | 'type'>): void {
    const { progress } = this;
    const running = progress.running.find(({ of }) => of.secret === secret);
    if (!running) return;
    const { of, runId } = running;
    progress.running = progress.running.filter((other) => other !== running);
    const workflowId = rotationWorkflowId(this.input.environment, secret);
    progress.settled.push({ secret, type: of.type, workflowId, runId, ...about });
    const group = groupOf(about.outcome);
    // An abort is a person's will, and says nothing of the target.
    const failed = about.outcome === 'aborted' || group === 'skipped' ? undefined : group === 'failed';
    noteEnd(progress.attempts, of, failed);
    if (failed) this.giveUpWhereHopeless(of);
    this.changed = true;
    this.note();
  }

  private giveUpWhereHopeless({ target }: FleetSecret): void {
    const { attempts, policy } = this.progress;
    if (!policy) return;
    const over = tooManyFailures(attempts, policy);
    if (over) return this.stop(`${over.length} rotations in a row failed: ${over.join(', ')}`);
    const row = target === undefined ? undefined : tooManyFailures(attempts, policy, target);
    if (!row) return;
    this.leave(
      (waiting) => waiting.target === target,
      `${row.length} rotations in a row failed on ${target}: ${row.join(', ')}`,
    );
  }

  private stop(reason: string): void {
    if (this.progress.stopped !== undefined) return;
    this.progress.stopped = reason;
    this.leave(() => true, reason);
    this.changed = true;
  }

  private leave(which: (waiting: FleetSecret) => boolean, reason: string): void {
    const { progress } = this;
    for (const waiting of progress.waiting.filter(which)) {
      progress.settled.push({ secret: waiting.secret, type: waiting.type, outcome: 'not-started', reason });
    }
    progress.waiting = progress.waiting.filter((waiting) => !which(waiting));
    this.note();
  }

  private async finish(): Promise<FleetReport> {
    const { environment } = this.input;
    this.progress.phase = 'finished';
    this.note();
    const { total, succeeded, failed, skipped, notStarted, stopped } = this.status();
    const counts = { total, succeeded, failed, skipped, notStarted };
    await this.activities('recordOutcome', 'record the report').write.recordFleet({ environment, counts, stopped });
    const report = reportOf(this.input, this.progress, isoNow());
    await this.tellEnd(report);
    await condition(() => this.pending === 0);
    return report;
  }

  /** Whom the catalog names by then. */
  private async tellEnd(report: FleetReport): Promise<void> {
    const notification = fleetNotification(report);
    if (!notification || !patched('people-are-told-of-a-fleets-end')) return;
    const problem = await tellPeople(notification);
    if (problem !== undefined) log.error(`People could not be told of the fleet's end: ${problem}`);
  }

  private async whatRuns(secret: string): Promise<string> {
    const secretId = secretIdOf(this.input.environment, secret);
    try {
      const { read } = this.activities('start', `see what runs for ${secretId}`, REMARK_MS);
      return shortened(await read.describeRotation({ environment: this.input.environment, secret }));
    } catch {
      return 'a rotation of it runs already';
    }
  }

  private record(request: OperatorRequest): void {
    this.pending++;
    const { write } = this.activities(request.request, `record the request ${request.request}`);
    const recorded = uninterrupted(() => write.recordOperatorActs({ acts: [request] }));
    // A record that the audit log refuses for good must not end what the request was about.
    void recorded
      .catch(() => undefined)
      .then(() => {
        this.pending--;
        this.changed = true;
      });
    this.note();
  }

  private surveyPage(page: SurveyPage) {
    const summary = `see what ${page.environment} has, from ${page.from}`;
    return this.activities('survey', summary, SURVEY_MS).write.surveyEnvironment(page);
  }

  private activities(step: string, summary: string, limitMs?: number) {
    const { environment, requestedBy, reason } = this.input;
    const subject = { secretId: secretIdOf(environment, '*'), requestedBy, reason };
    return activitiesFor({ subject, step, summary, limitMs, onAuditDown: () => undefined });
  }

  private note(): void {
    const status = this.status();
    indexFleet(status);
    writeFleetLogbook(status);
  }
}

type SurveyPage = Parameters<ReturnType<typeof activitiesFor>['write']['surveyEnvironment']>[0];

/** What a cancellation cannot stop half-way. */
export function uninterrupted<T>(work: () => Promise<T>): Promise<T> {
  return CancellationScope.nonCancellable(work);
}
