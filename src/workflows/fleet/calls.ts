import { CancellationScope } from '@temporalio/workflow';
import { shortened } from '../../rotation/fleet';
import type { EndedRotation, FleetCounts, FleetInput, FleetSurvey } from '../../rotation/fleet';
import { secretIdOf } from '../../rotation/names';
import type { OperatorRequest } from '../../rotation/types';
import { activitiesFor } from '../saga/activities';
import type { Performance } from '../saga/activities';

/** How long the catalog and the secrets' ages are asked for. */
const SURVEY_MS = 15 * 60_000;
/** What is only good to know is asked for this long. */
const REMARK_MS = 60_000;

type SurveyPage = Parameters<ReturnType<typeof activitiesFor>['write']['surveyEnvironment']>[0];

/** What a fleet asks of activities, and how much of that is under way: the next run of the workflow could not wait for it. */
export class FleetCalls {
  readonly subject: Performance['subject'];
  private pending = 0;

  constructor(
    private readonly input: FleetInput,
    private readonly onEnd: () => void,
  ) {
    const { environment, requestedBy, reason } = input;
    this.subject = { secretId: secretIdOf(environment, '*'), requestedBy, reason };
  }

  areUnderWay(): boolean {
    return this.pending > 0;
  }

  /** Counts as under way what is more than one call. */
  async underWay<T>(work: () => Promise<T>): Promise<T> {
    this.pending++;
    try {
      return await work();
    } finally {
      this.pending--;
      this.onEnd();
    }
  }

  surveyPage(page: SurveyPage): Promise<FleetSurvey> {
    const summary = `see what ${page.environment} has, from ${page.from}`;
    return this.to('survey', summary, SURVEY_MS).write.surveyEnvironment(page);
  }

  /** What runs for a secret, in words. */
  async whatRuns(secret: string): Promise<string> {
    const { environment } = this.input;
    try {
      const { read } = this.to('start', `see what runs for ${secretIdOf(environment, secret)}`, REMARK_MS);
      return shortened(await read.describeRotation({ environment, secret }));
    } catch {
      return 'a rotation of it runs already';
    }
  }

  lookAt(rotations: { secret: string; runId: string }[]): Promise<EndedRotation[]> {
    const { environment } = this.input;
    const summary = `see how ${rotations.length} rotations stand`;
    return this.to('watch', summary).write.lookAtRotations({ environment, rotations });
  }

  /** A record that the audit log refuses for good must not end what the request was about. */
  recordRequest(request: OperatorRequest): void {
    const { write } = this.to(request.request, `record the request ${request.request}`);
    void this.underWay(() => uninterrupted(() => write.recordOperatorActs({ acts: [request] }))).catch(() => undefined);
  }

  recordEnd(counts: FleetCounts, stopped: string | undefined): Promise<void> {
    const { environment } = this.input;
    return this.to('recordOutcome', 'record the report').write.recordFleet({ environment, counts, stopped });
  }

  /** Of a fleet that could not begin. */
  recordRefusal(): Promise<void> {
    const { environment } = this.input;
    const counts = { total: 0, succeeded: 0, failed: 0, skipped: 0, notStarted: 0 };
    return this.to('recordOutcome', 'record the refusal').write.recordFleet({ environment, counts, refused: true });
  }

  private to(step: string, summary: string, limitMs?: number) {
    return activitiesFor({ subject: this.subject, step, summary, limitMs, onAuditDown: () => undefined });
  }
}

/** What a cancellation cannot stop half-way. */
export function uninterrupted<T>(work: () => Promise<T>): Promise<T> {
  return CancellationScope.nonCancellable(work);
}
