import { secretIdOf } from '../../rotation/names';
import type { SecretType } from '../../rotation/names';
import type { RotationPlan } from '../../rotation/plan';
import type {
  OperatorRequest,
  Phase,
  RotationInput,
  RotationResult,
  RotationStatus,
  StepState,
  StepStatus,
} from '../../rotation/types';
import { indexRotation, writeLogbook } from './logbook';
import type { Recipe, RotationContext } from './step';

/** How many of the operators' requests `status` shows. */
const REQUESTS_SHOWN = 100;

const isoNow = () => new Date().toISOString();

/** How far a rotation is, and what it shows of that: the answer to `status`, the web UI's page and the search attributes. */
export class Progress {
  readonly status: RotationStatus;

  constructor({ environment, secret, requestedBy, reason, emergency }: RotationInput) {
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
      ...(emergency && { emergency }),
      pastPointOfNoReturn: false,
      requests: [],
    };
    writeLogbook(this.status);
  }

  get secretId(): string {
    return secretIdOf(this.status.environment, this.status.secret);
  }

  showType(type: SecretType): void {
    this.status.type = type;
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

  passPointOfNoReturn(): void {
    this.status.pastPointOfNoReturn = true;
    writeLogbook(this.status);
  }

  /** Adds a step that is not the recipe's own. */
  add(step: StepStatus): void {
    this.status.steps.push(step);
  }

  stepNamed(name: string): StepStatus {
    const step = this.status.steps.find((candidate) => candidate.name === name);
    if (!step) throw new Error(`no step is named ${name}`);
    return step;
  }

  begin(step: StepStatus): void {
    this.status.step = step.name;
    step.startedAt = isoNow();
    this.mark(step, 'running');
  }

  mark(step: StepStatus, state: StepState): void {
    step.state = state;
    if (state !== 'running' && state !== 'undoing' && state !== 'waiting-for-audit') step.endedAt = isoNow();
    writeLogbook(this.status);
  }

  showProblem(step: StepStatus, problem: string): void {
    step.problem = problem;
    writeLogbook(this.status);
  }

  showKeys(keys: NonNullable<RotationStatus['keys']>): void {
    this.status.keys = { ...this.status.keys, ...keys };
    writeLogbook(this.status);
  }

  showRequest(request: OperatorRequest): void {
    const { requests } = this.status;
    requests.push(request);
    if (requests.length > REQUESTS_SHOWN) {
      requests.shift();
      this.status.earlierRequests = (this.status.earlierRequests ?? 0) + 1;
    }
    writeLogbook(this.status);
  }

  showOutcome(outcome: NonNullable<RotationStatus['outcome']>): void {
    this.status.outcome = outcome;
    this.enterPhase('finished');
  }

  /** Whether leftovers of a terminated rotation were put in order; that is not undone. */
  cleanedUp(): boolean {
    return this.status.steps.some(({ name, state }) => name.startsWith('settle') && state === 'done');
  }

  versionsBefore(): RotationResult['versions'] {
    return { current: this.status.versions.current };
  }
}
