import { CancellationScope } from '@temporalio/workflow';
import type { CauseDetails } from '../../rotation/errors';
import type { Outcome, RotationResult, RotationStatus, StepStatus } from '../../rotation/types';
import type { RotationNews } from './news';
import type { Progress } from './progress';
import type { RequestRecords } from './request-records';
import type { StepActivitiesOf } from './step-activities';

type End = NonNullable<RotationStatus['outcome']>;

/** Brings a rotation to its end: its outcome goes to the audit trail, the metrics, `status` and people. */
export class Ending {
  private begun = false;

  constructor(
    private readonly progress: Progress,
    private readonly news: RotationNews,
    private readonly requestRecords: RequestRecords,
    private readonly activitiesOf: StepActivitiesOf,
  ) {}

  /** The outcome is being recorded: nothing can be changed any more. */
  hasBegun(): boolean {
    return this.begun;
  }

  /** Records the outcome and makes the workflow's result. */
  async finish(
    outcome: Outcome,
    about: Pick<RotationResult, 'versions' | 'warnings' | 'requestedBy' | 'reason'>,
  ): Promise<RotationResult> {
    await this.record({ outcome, versions: about.versions });
    await this.news.finished(outcome, about);
    const { environment, secret, type, steps, requestedBy, reason, emergency } = this.progress.status;
    return {
      outcome,
      environment,
      secret,
      type,
      requestedBy,
      reason,
      ...(emergency && { emergency }),
      ...about,
      warnings: about.warnings?.length ? about.warnings : undefined,
      steps: steps
        .filter(({ state }) => (outcome === 'dry-run' ? state !== 'skipped' : state === 'done' || state === 'undone'))
        .map(({ name, summary }) => ({ name, summary })),
    };
  }

  /** Records a failure, whose message people are told. */
  async recordFailure(outcome: End, failedStep: string, cause: CauseDetails, message: string): Promise<void> {
    await this.record({ outcome, versions: this.progress.versionsBefore(), failedStep, cause: cause.type });
    await this.news.ended(outcome, message, cause);
  }

  private async record(end: {
    outcome: End;
    versions: RotationResult['versions'];
    failedStep?: string;
    cause?: string;
  }): Promise<void> {
    this.begun = true;
    await CancellationScope.nonCancellable(async () => {
      const step: StepStatus = {
        name: 'recordOutcome',
        summary: `record the outcome: ${end.outcome}`,
        state: 'pending',
      };
      const { environment, type, startedAt } = this.progress.status;
      const durationMs = Date.now() - Date.parse(startedAt);
      await this.activitiesOf(step, { limitMs: undefined }).read.recordOutcome({
        environment,
        type,
        durationMs,
        ...end,
      });
      // More may come in while these are waited for.
      await this.requestRecords.finish();
    });
    this.progress.showOutcome(end.outcome);
  }
}
