import { CancelledFailure, CancellationScope } from '@temporalio/workflow';
import type { RollbackIncompleteDetails } from '../../rotation/errors';
import type { RotationPlan } from '../../rotation/plan';
import type { AbortRequest, RotationInput, StepStatus } from '../../rotation/types';
import type { StepActivities } from './activities';
import { Ending } from './ending';
import { causeOf } from './failures';
import { GracePeriod } from './grace-period';
import { RotationNews } from './news';
import { listenToOperators } from './operator-requests';
import { Progress } from './progress';
import { RequestRecords } from './request-records';
import type { RotationContext, Step } from './step';
import { createStepActivities } from './step-activities';
import type { StepActivitiesOf } from './step-activities';
import { undoAll } from './undoing';
import type { Compensation } from './undoing';

/** How long the plan and the first look at the secret are retried; afterwards the plan says how long. */
const PREPARATION_MS = 15 * 60_000;

/** A rotation under way: its parts, its operators' requests, and how its steps are performed, stopped and undone. */
export class Rotation {
  readonly progress: Progress;
  readonly news: RotationNews;
  readonly ending: Ending;
  abortRequest?: AbortRequest;

  private plan?: RotationPlan;
  private interruptibleScope?: CancellationScope;
  private readonly activitiesOf: StepActivitiesOf;

  constructor(input: RotationInput) {
    const { requestedBy, reason } = input;
    const progress = new Progress(input);
    const { status, secretId } = progress;
    const grace = new GracePeriod(status);
    this.progress = progress;
    this.news = new RotationNews(secretId, input);
    this.activitiesOf = createStepActivities({
      subject: { secretId, requestedBy, reason },
      progress,
      grace,
      news: this.news,
      patienceMs: () => this.patienceMs(),
    });
    const requestRecords = new RequestRecords((step) => this.activitiesOf(step, { limitMs: undefined }).write);
    this.ending = new Ending(progress, this.news, requestRecords, this.activitiesOf);
    listenToOperators(status, grace, {
      abort: (request) => {
        this.abortRequest = request;
        this.interruptibleScope?.cancel();
      },
      record: (request) => {
        progress.showRequest(request);
        requestRecords.add(request);
      },
      isEnding: () => this.ending.hasBegun(),
    });
  }

  follow(plan: RotationPlan): void {
    this.plan = plan;
    this.news.follow(plan);
    this.progress.showType(plan.type);
  }

  /** Runs what an abort or a cancellation interrupts. */
  async interruptible<T>(work: () => Promise<T>): Promise<T> {
    const scope = new CancellationScope();
    this.interruptibleScope = scope;
    if (this.abortRequest) scope.cancel();
    return scope.run(work);
  }

  /** @throws CancelledFailure when an abort came just before. */
  passPointOfNoReturn(): void {
    if (this.progress.status.pastPointOfNoReturn) return;
    this.stopIfAborted();
    this.progress.passPointOfNoReturn();
  }

  /** A step before the recipe's own. */
  async look<T>(name: string, summary: string, work: (activities: StepActivities) => Promise<T>): Promise<T> {
    this.stopIfAborted();
    const step: StepStatus = { name, summary, state: 'pending' };
    this.progress.add(step);
    return this.run(step, () => work(this.activitiesOf(step)));
  }

  /** One step of the recipe; what lies past the point of no return is not interrupted. */
  async perform<P extends RotationPlan>(step: Step<P>, context: RotationContext<P>): Promise<void> {
    const shown = this.progress.stepNamed(step.name);
    const work = () => this.run(shown, () => step.run(context, this.activitiesOf(shown)));
    if (this.progress.status.pastPointOfNoReturn) return CancellationScope.nonCancellable(work);
    this.stopIfAborted();
    return work();
  }

  /** Undoes what was begun, each step for the plan's time at most. @returns what was undone, and what was not. */
  async undo(
    compensations: Compensation[],
  ): Promise<{ undone: string[]; leftToDo: RollbackIncompleteDetails['leftToDo'] }> {
    const limitMs = this.plan?.timeouts.rollbackMs ?? PREPARATION_MS;
    return undoAll(compensations, { progress: this.progress, activitiesOf: this.activitiesOf, limitMs });
  }

  /** Whether somebody cancelled the workflow, whatever the step that ran made of it. */
  wasCancelled(): boolean {
    return CancellationScope.current().consideredCancelled;
  }

  private async run<T>(step: StepStatus, work: () => Promise<T>): Promise<T> {
    this.progress.begin(step);
    try {
      const result = await work();
      this.progress.mark(step, 'done');
      return result;
    } catch (error) {
      step.problem = causeOf(error).message;
      this.progress.mark(step, 'failed');
      throw error;
    }
  }

  /** Past the point of no return there is nothing to go back to, so that patience costs less than giving up. */
  private patienceMs(): number {
    if (!this.plan) return PREPARATION_MS;
    const { stepMs, rollbackMs } = this.plan.timeouts;
    return this.progress.status.pastPointOfNoReturn ? rollbackMs : stepMs;
  }

  private stopIfAborted(): void {
    if (this.abortRequest || CancellationScope.current().consideredCancelled) throw new CancelledFailure('aborted');
  }
}
