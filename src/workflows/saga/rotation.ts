import { CancelledFailure, CancellationScope, isCancellation, patched, sleep } from '@temporalio/workflow';
import type { StepInput } from '../../activities/step-input';
import { Cause } from '../../rotation/errors';
import type { CauseDetails } from '../../rotation/errors';
import { secretIdOf } from '../../rotation/names';
import type { RotationPlan } from '../../rotation/plan';
import type {
  AbortRequest,
  OperatorRequest,
  Outcome,
  Phase,
  RotationInput,
  RotationResult,
  RotationStatus,
  StepState,
  StepStatus,
} from '../../rotation/types';
import { activitiesFor } from './activities';
import type { Notification, StepActivities } from './activities';
import { causeOf } from './failures';
import { GracePeriod } from './grace-period';
import { indexRotation, writeLogbook } from './logbook';
import { listenToOperators } from './operator-requests';
import { RotationNews } from './news';
import { RequestRecords } from './request-records';
import type { Recipe, RotationContext, Step } from './step';
import { tellFleet } from './tell-fleet';

/** How long the plan and the first look at the secret are retried; afterwards the plan says how long. */
const PREPARATION_MS = 15 * 60_000;

/** Pauses between two tries to undo the same step. */
const UNDO_PAUSE_MS = { first: 2_000, longest: 300_000 };

/** Secrets Manager may show a label's old place for a moment; after that many looks it is where somebody else put it. */
const LABEL_TRIES = 3;

/** How long one notification is tried. */
const NOTIFICATION_MS = 60_000;

/** A fleet does not wait for what only time brings about, from so long on. */
const LONG_PAUSE_MS = 10 * 60_000;

/** How many of the operators' requests `status` shows. */
const REQUESTS_SHOWN = 100;

const isoNow = () => new Date().toISOString();

/** A rotation under way: its status, its operators' requests, and how its steps are performed. */
export class Rotation {
  readonly secretId: string;
  readonly status: RotationStatus;
  readonly news: RotationNews;
  abortRequest?: AbortRequest;

  private plan?: RotationPlan;
  private readonly startedAt = Date.now();
  private readonly subject: Omit<StepInput, 'step'>;
  private interruptibleScope?: CancellationScope;
  private readonly grace: GracePeriod;
  /** The outcome is being recorded. */
  private ending = false;
  private readonly requestRecords = new RequestRecords(
    (requests) => this.recordRequests(requests),
    (request) => this.recordOneByOne(request),
  );

  constructor(input: RotationInput) {
    const { environment, secret, requestedBy, reason } = input;
    this.secretId = secretIdOf(environment, secret);
    this.subject = { secretId: this.secretId, requestedBy, reason };
    this.news = new RotationNews(this.secretId, input);
    this.status = {
      environment,
      secret,
      phase: 'planning',
      step: '',
      steps: [],
      versions: {},
      startedAt: isoNow(),
      requestedBy,
      reason,
      pastPointOfNoReturn: false,
      requests: [],
    };
    this.grace = new GracePeriod(this.status);
    listenToOperators(this.status, this.grace, {
      abort: (request) => {
        this.abortRequest = request;
        this.interruptibleScope?.cancel();
      },
      record: (request) => this.noteRequest(request),
      isEnding: () => this.ending,
    });
    writeLogbook(this.status);
  }

  /** Runs what an abort or a cancellation interrupts. */
  async interruptible<T>(work: () => Promise<T>): Promise<T> {
    const scope = new CancellationScope();
    this.interruptibleScope = scope;
    if (this.abortRequest) scope.cancel();
    return scope.run(work);
  }

  follow(plan: RotationPlan): void {
    this.plan = plan;
    this.news.follow(plan);
    this.status.type = plan.type;
    indexRotation(this.status);
  }

  /** Shows what lies ahead. */
  announce<P extends RotationPlan>(context: RotationContext<P>, recipe: Recipe<P>): void {
    this.status.versions.current = context.found.labels.current;
    if (!context.input.dryRun) this.status.versions.candidate = context.candidate;
    this.status.steps.push(...recipe.map(({ name }): StepStatus => ({ name, summary: '', state: 'pending' })));
    this.foresee(context, recipe);
  }

  /** Shows anew what lies ahead: what a step finds out may decide what comes after it. */
  foresee<P extends RotationPlan>(context: RotationContext<P>, ahead: Recipe<P>): void {
    for (const step of ahead) {
      const shown = this.stepNamed(step.name);
      shown.summary = step.summary(context);
      shown.state = step.when !== undefined && !step.when(context) ? 'skipped' : 'pending';
    }
    writeLogbook(this.status);
  }

  enterPhase(phase: Phase): void {
    if (this.status.phase === phase) return;
    this.status.phase = phase;
    indexRotation(this.status);
    writeLogbook(this.status);
  }

  /** @throws CancelledFailure when an abort came just before. */
  passPointOfNoReturn(): void {
    if (this.status.pastPointOfNoReturn) return;
    this.stopIfAborted();
    this.status.pastPointOfNoReturn = true;
    writeLogbook(this.status);
  }

  skip(name: string): void {
    this.mark(this.stepNamed(name), 'skipped');
  }

  /** A step before the recipe's own. */
  async look<T>(name: string, summary: string, work: (activities: StepActivities) => Promise<T>): Promise<T> {
    this.stopIfAborted();
    const step: StepStatus = { name, summary, state: 'pending' };
    this.status.steps.push(step);
    return this.run(step, () => work(this.activitiesOf(step)));
  }

  /** One step of the recipe; what lies past the point of no return is not interrupted. */
  async perform<P extends RotationPlan>(step: Step<P>, context: RotationContext<P>): Promise<void> {
    const shown = this.stepNamed(step.name);
    const work = () => this.run(shown, () => step.run(context, this.activitiesOf(shown)));
    if (this.status.pastPointOfNoReturn) return CancellationScope.nonCancellable(work);
    this.stopIfAborted();
    return work();
  }

  /**
   * Undoes one step, and tries again whatever the reason, because people mend what stands in the way, until the plan's time for that
   * is over.
   *
   * @returns why it could not be undone, or nothing when it was.
   */
  async compensate(
    name: string,
    summary: string,
    work: (activities: StepActivities) => Promise<void>,
  ): Promise<CauseDetails | undefined> {
    const step = this.stepNamed(name);
    const limitMs = this.plan?.timeouts.rollbackMs ?? PREPARATION_MS;
    const deadline = Date.now() + limitMs;
    this.mark(step, 'undoing');
    for (let tries = 1, pause = UNDO_PAUSE_MS.first; ; tries++, pause = Math.min(pause * 2, UNDO_PAUSE_MS.longest)) {
      try {
        await work(this.activitiesOf(step, { summary, limitMs: Math.max(deadline - Date.now(), UNDO_PAUSE_MS.first) }));
        step.problem = undefined;
        this.mark(step, 'undone');
        return undefined;
      } catch (error) {
        const cause = causeOf(error);
        step.problem = cause.message;
        // What other people did is not undone for them, however often it is tried.
        const hopeless = cause.type === Cause.LabelsMoved && tries >= LABEL_TRIES;
        if (hopeless || Date.now() + pause > deadline) {
          this.mark(step, 'undo-failed');
          return cause;
        }
        this.mark(step, 'undoing');
        await sleep(pause, { summary: `could not ${summary} (${cause.type}): trying again` });
      }
    }
  }

  /** Whether somebody cancelled the workflow, whatever the step that ran made of it. */
  wasCancelled(): boolean {
    return CancellationScope.current().consideredCancelled;
  }

  /** Whether leftovers of a terminated rotation were put in order; that is not undone. */
  cleanedUp(): boolean {
    return this.status.steps.some(({ name, state }) => name.startsWith('settle') && state === 'done');
  }

  versionsBefore(): RotationResult['versions'] {
    return { current: this.status.versions.current };
  }

  /** Records the outcome and makes the workflow's result. */
  async finish(
    outcome: Outcome,
    about: Pick<RotationResult, 'versions' | 'warnings' | 'requestedBy' | 'reason'>,
  ): Promise<RotationResult> {
    await this.record({ outcome, versions: about.versions });
    await this.news.finished(outcome, about);
    const { environment, secret, type, steps, requestedBy, reason } = this.status;
    return {
      outcome,
      environment,
      secret,
      type,
      requestedBy,
      reason,
      ...about,
      warnings: about.warnings?.length ? about.warnings : undefined,
      steps: steps
        .filter(({ state }) => (outcome === 'dry-run' ? state !== 'skipped' : state === 'done' || state === 'undone'))
        .map(({ name, summary }) => ({ name, summary })),
    };
  }

  async recordFailure(
    outcome: NonNullable<RotationStatus['outcome']>,
    failedStep: string,
    cause: CauseDetails,
    message: string,
  ): Promise<void> {
    await this.record({ outcome, versions: this.versionsBefore(), failedStep, cause: cause.type });
    await this.news.ended(outcome, message);
  }

  private async record(end: {
    outcome: NonNullable<RotationStatus['outcome']>;
    versions: RotationResult['versions'];
    failedStep?: string;
    cause?: string;
  }): Promise<void> {
    this.ending = true;
    await CancellationScope.nonCancellable(async () => {
      const step: StepStatus = {
        name: 'recordOutcome',
        summary: `record the outcome: ${end.outcome}`,
        state: 'pending',
      };
      const { environment, type } = this.status;
      const durationMs = Date.now() - this.startedAt;
      await this.activitiesOf(step, { limitMs: undefined }).read.recordOutcome({
        environment,
        type,
        durationMs,
        ...end,
      });
      // More may come in while these are waited for.
      await this.requestRecords.finish();
    });
    this.status.outcome = end.outcome;
    this.enterPhase('finished');
  }

  private noteRequest(request: OperatorRequest): void {
    const { requests } = this.status;
    requests.push(request);
    if (requests.length > REQUESTS_SHOWN) {
      requests.shift();
      this.status.earlierRequests = (this.status.earlierRequests ?? 0) + 1;
    }
    writeLogbook(this.status);
    this.requestRecords.add(request);
  }

  /** Rotations that began before there were batches go on without. */
  private recordOneByOne({ request, requestedBy, reason, refused }: OperatorRequest): Promise<void> {
    const step: StepStatus = { name: request, summary: `record the request ${request}`, state: 'pending' };
    return this.activitiesOf(step, { limitMs: undefined }).write.recordOperatorAct({
      requestedBy,
      reason,
      act: request,
      accepted: refused === undefined,
      refused,
    });
  }

  private recordRequests(requests: OperatorRequest[]): Promise<void> {
    const name = requests[0]?.request ?? '';
    const summary = requests.length === 1 ? `record the request ${name}` : `record ${requests.length} requests`;
    const step: StepStatus = { name, summary, state: 'pending' };
    return this.activitiesOf(step, { limitMs: undefined }).write.recordOperatorActs({ acts: requests });
  }

  private async run<T>(step: StepStatus, work: () => Promise<T>): Promise<T> {
    this.status.step = step.name;
    step.startedAt = isoNow();
    this.mark(step, 'running');
    try {
      const result = await work();
      this.mark(step, 'done');
      return result;
    } catch (error) {
      step.problem = causeOf(error).message;
      this.mark(step, 'failed');
      throw error;
    }
  }

  private mark(step: StepStatus, state: StepState): void {
    step.state = state;
    if (state !== 'running' && state !== 'undoing' && state !== 'waiting-for-audit') step.endedAt = isoNow();
    writeLogbook(this.status);
  }

  private activitiesOf(
    step: StepStatus,
    options: { limitMs?: number; summary?: string } = { limitMs: this.patienceMs() },
  ): StepActivities {
    const { limitMs, summary = step.summary } = options;
    const doing = step.state === 'undoing' ? 'undoing' : 'running';
    return {
      ...activitiesFor({
        subject: this.subject,
        step: step.name,
        summary,
        limitMs,
        onAuditDown: (down) => this.mark(step, down ? 'waiting-for-audit' : doing),
      }),
      waitOutGracePeriod: async (options) => {
        const { environment, secret, phase } = this.status;
        this.enterPhase('grace-period');
        if (phase !== 'grace-period') {
          tellFleet(environment, { secret, graceEndsAt: new Date(options.endsAt).toISOString() });
        }
        await this.grace.waitOut(options);
      },
      pauseUntil: async (time) => {
        const left = time - Date.now();
        const { environment, secret, graceEndsAt } = this.status;
        // A rotation with a grace period has told its fleet before.
        if (left > LONG_PAUSE_MS && graceEndsAt === undefined && patched('a-fleet-is-told-of-long-pauses')) {
          tellFleet(environment, { secret, graceEndsAt: new Date(time).toISOString() });
        }
        if (left > 0) await sleep(left, { summary: `wait until ${new Date(time).toISOString()}` });
      },
      graceStart: () => this.grace.start(),
      graceWasEnded: () => this.grace.wasEnded(),
      show: (keys) => {
        this.status.keys = { ...this.status.keys, ...keys };
        writeLogbook(this.status);
      },
      tell: (notification) => this.tell(step, notification),
    };
  }

  /** Past the point of no return there is nothing to go back to, so that patience costs less than giving up. */
  private patienceMs(): number {
    if (!this.plan) return PREPARATION_MS;
    return this.status.pastPointOfNoReturn ? this.plan.timeouts.rollbackMs : this.plan.timeouts.stepMs;
  }

  /** Tells people; that it does not work holds nothing up. */
  private async tell(step: StepStatus, notification: Notification): Promise<void> {
    const { environment, secret } = this.status;
    if (this.news.routes) return this.news.within(notification);
    const { notify } = this.activitiesOf(step, {
      limitMs: NOTIFICATION_MS,
      summary: `notify: ${notification.event}`,
    }).write;
    try {
      await notify({ ...notification, environment, secret });
    } catch (error) {
      if (isCancellation(error)) throw error;
      step.problem = `a notification could not be sent: ${causeOf(error).message}`;
      writeLogbook(this.status);
    }
  }

  private stepNamed(name: string): StepStatus {
    const step = this.status.steps.find((candidate) => candidate.name === name);
    if (!step) throw new Error(`no step is named ${name}`);
    return step;
  }

  private stopIfAborted(): void {
    if (this.abortRequest || CancellationScope.current().consideredCancelled) throw new CancelledFailure('aborted');
  }
}
