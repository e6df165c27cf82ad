import { condition, log } from '@temporalio/workflow';
import { Cause } from '../../rotation/errors';
import { failedEntry, shortened } from '../../rotation/fleet';
import type { FleetInput, FleetReport, FleetSecret } from '../../rotation/fleet';
import { fleetNotification } from '../../rotation/fleet-telling';
import { rotationWorkflowId } from '../../rotation/names';
import type { AbortRequest } from '../../rotation/types';
import { clearsTheWay } from '../emergency/way-of-one';
import { causeOf, refuse } from '../saga/failures';
import { tellPeople } from '../saga/telling';
import { FleetCalls } from './calls';
import { FleetLedger } from './ledger';
import { listenToFleetOperators } from './operators';
import { handedOn, hasRoom, reportOf } from './progress';
import type { FleetProgress, Running } from './progress';
import { alreadyRuns, startRotation } from './rotation';
import { watchTakenUp } from './taken-up';
import { WayOfMany } from './way-of-many';
import { isInForce } from '../changes';

/** An environment's rotation under way: it starts what may start, until nothing waits and nothing runs. */
export class Fleet {
  private readonly ledger: FleetLedger;
  private readonly calls: FleetCalls;
  private readonly way: WayOfMany;
  private continuing = false;

  /** @param known what an earlier run of this workflow has come to. */
  constructor(
    private readonly input: FleetInput,
    known?: FleetProgress,
  ) {
    const ledger = new FleetLedger(input, known);
    const calls = new FleetCalls(input, () => (ledger.changed = true));
    const since = Date.parse(ledger.progress.startedAt);
    const emergency = { environment: input.environment, since, subject: calls.subject };
    this.way = new WayOfMany(ledger, calls, emergency, () => this.continuing);
    this.ledger = ledger;
    this.calls = calls;
    listenToFleetOperators({
      status: () => ledger.status(),
      refusal: () => this.stopRefusal(),
      abort: (request) => this.abort(request),
      record: (request) => {
        calls.recordRequest(request);
        ledger.note();
      },
      inGracePeriod: (begun) => ledger.settleInGracePeriod(begun),
    });
    ledger.note();
  }

  /** What a further run of this workflow goes on with. */
  handedOn(): FleetProgress {
    return handedOn(this.progress);
  }

  /** Whether it starts no more. */
  get isStopped(): boolean {
    return this.progress.stopped !== undefined;
  }

  private get progress(): FleetProgress {
    return this.ledger.progress;
  }

  /** Reads the catalog, and asks the secrets how old they are. Nothing was started when this fails. */
  async survey(): Promise<void> {
    const { environment, types, due = false, emergency, dryRun, concurrency } = this.input;
    const found: FleetSecret[] = [];
    for (let from: number | undefined = 0; from !== undefined;) {
      const page: Awaited<ReturnType<FleetCalls['surveyPage']>> = await this.calls.surveyPage({
        environment,
        types,
        due,
        spare: !emergency && !dryRun,
        yields: !emergency || dryRun,
        from,
      });
      this.progress.policy = { ...page.policy, ...(concurrency !== undefined && { concurrency }) };
      found.push(...page.secrets);
      from = page.next;
    }
    this.ledger.queue(found);
    if (!hasRoom(this.progress)) {
      throw refuse(
        Cause.BadInput,
        `${found.length} secrets are more than one run can keep account of; nothing was started. Take them by type (--type), or only what is due (--due)`,
      );
    }
  }

  /** @returns the report, or `undefined` when the workflow's history is long enough and the rest belongs into another. */
  async run(isLongEnough: () => boolean): Promise<FleetReport | undefined> {
    const { ledger, calls } = this;
    if (this.progress.running.length > 0) void watchTakenUp(ledger, calls, () => this.continuing);
    this.way.watch();
    for (;;) {
      this.continuing ||= isLongEnough() && ledger.hasMoreToStart();
      if (this.continuing && !calls.areUnderWay()) return undefined;
      if (!this.continuing) this.startMore();
      if (ledger.isOver() && !calls.areUnderWay()) return this.finish();
      ledger.changed = false;
      await condition(() => ledger.changed);
    }
  }

  /** Starts no more; what runs goes on. */
  abort({ reason, requestedBy }: AbortRequest): void {
    const by = requestedBy ? ` by ${requestedBy}` : '';
    this.ledger.stop(`aborted${by}${reason ? `: ${shortened(reason)}` : ''}`);
  }

  private stopRefusal(): string | undefined {
    const { stopped, phase } = this.progress;
    if (stopped !== undefined) return `it starts no more already (${stopped})`;
    return phase === 'finished' ? 'it is over, and its report is being recorded' : undefined;
  }

  private startMore(): void {
    const starting = this.ledger.takeStartable();
    for (const running of starting) void this.start(running);
    if (starting.length > 0) this.ledger.note();
  }

  private async start(running: Running): Promise<void> {
    const { secret } = running.of;
    await this.calls.underWay(async () => {
      try {
        const rotation = await startRotation(this.input, running.of);
        running.runId = rotation.runId;
        void rotation.ended.then((end) => this.ledger.settleEnd(end));
      } catch (error) {
        if (alreadyRuns(error)) return this.yieldOrWait(running);
        const { type, message } = causeOf(error);
        this.ledger.settle(secret, failedEntry({ type, message }));
      }
    });
  }

  /** Somebody else rotates it, which is enough but in an emergency. */
  private async yieldOrWait(running: Running): Promise<void> {
    const { secret } = running.of;
    const clears = clearsTheWay(this.input);
    const reason = await this.calls.whatRuns(secret);
    if (clears) return this.way.putAside(running, reason);
    const workflowId = rotationWorkflowId(this.input.environment, secret);
    this.ledger.settle(secret, { outcome: 'already-running', workflowId, reason });
  }

  private async finish(): Promise<FleetReport> {
    this.progress.phase = 'finished';
    this.ledger.note();
    const { total, succeeded, failed, skipped, notStarted, stopped } = this.ledger.status();
    await this.calls.recordEnd({ total, succeeded, failed, skipped, notStarted }, stopped);
    const report = reportOf(this.input, this.progress, new Date().toISOString());
    await tellEnd(report);
    await condition(() => !this.calls.areUnderWay());
    return report;
  }
}

/** Tells those of the end whom the catalog names by then. */
async function tellEnd(report: FleetReport): Promise<void> {
  const notification = fleetNotification(report);
  if (!notification || !isInForce('people-are-told-of-a-fleets-end')) return;
  const problem = await tellPeople(notification);
  if (problem !== undefined) log.error(`People could not be told of the fleet's end: ${problem}`);
}
