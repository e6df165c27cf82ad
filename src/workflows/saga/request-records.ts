import { CancellationScope, condition } from '@temporalio/workflow';
import type { OperatorRequest, StepStatus } from '../../rotation/types';
import { isInForce } from '../changes';
import type { StepActivities } from './activities';

/** As many as one activity takes. */
const BATCH = 100;
/** The pause after the nth batch is n times as long, up to the longest, so that thousands of requests do not fill the history. */
const PAUSE_MS = { first: 1_000, longest: 600_000 };

/** Brings operators' requests to the audit trail, in order: the first at once, many of them together. */
export class RequestRecords {
  private readonly waiting: OperatorRequest[] = [];
  private batches = 0;
  private nextBatch = 0;
  private hurry = false;
  private working?: Promise<void>;
  private readonly oneByOne: Promise<void>[] = [];

  /** @param writesFor tries each of its activities for ever: an act without a record must not be. */
  constructor(
    private readonly writesFor: (
      step: StepStatus,
    ) => Pick<StepActivities['write'], 'recordOperatorAct' | 'recordOperatorActs'>,
  ) {}

  add(request: OperatorRequest): void {
    if (!isInForce('requests-are-recorded-in-batches')) {
      this.oneByOne.push(CancellationScope.nonCancellable(() => this.sendOne(request)));
      return;
    }
    this.waiting.push(request);
    this.working ??= CancellationScope.nonCancellable(() => this.work());
  }

  /** Waits until all are recorded, without the pauses. */
  async finish(): Promise<void> {
    this.hurry = true;
    while (this.oneByOne.length > 0) await this.oneByOne.shift();
    while (this.working) await this.working;
  }

  private async work(): Promise<void> {
    while (this.waiting.length > 0) {
      const pause = this.nextBatch - Date.now();
      if (pause > 0) await condition(() => this.hurry, pause, { summary: 'gather requests for the audit trail' });
      await this.send(this.waiting.splice(0, BATCH));
      this.batches++;
      this.nextBatch = Date.now() + Math.min(this.batches * PAUSE_MS.first, PAUSE_MS.longest);
    }
    this.working = undefined;
  }

  private send(requests: OperatorRequest[]): Promise<void> {
    const name = requests[0]?.request ?? '';
    const summary = requests.length === 1 ? `record the request ${name}` : `record ${requests.length} requests`;
    return this.writesFor({ name, summary, state: 'pending' }).recordOperatorActs({ acts: requests });
  }

  /** Rotations that began before there were batches go on without. */
  private sendOne({ request, requestedBy, reason, refused }: OperatorRequest): Promise<void> {
    const summary = `record the request ${request}`;
    return this.writesFor({ name: request, summary, state: 'pending' }).recordOperatorAct({
      requestedBy,
      reason,
      act: request,
      accepted: refused === undefined,
      refused,
    });
  }
}
