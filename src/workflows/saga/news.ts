import { log, workflowInfo } from '@temporalio/workflow';
import type { CauseDetails } from '../../rotation/errors';
import { channelsFor, EVENT_SEVERITY } from '../../rotation/notifications';
import type { NotificationEvent, NotificationRoute } from '../../rotation/notifications';
import type { RotationPlan } from '../../rotation/plan';
import type { Outcome, RotationInput, RotationResult, RotationStatus } from '../../rotation/types';
import { isInForce } from '../changes';
import type { Notification } from './activities';
import { isOfCatalog, tellOfCatalog } from './refusals';
import { tellPeople } from './telling';

type End = NonNullable<RotationStatus['outcome']>;

/** A restore's report tells of its secrets. */
const UNTOLD = ['unchanged', 'dry-run', 'restored', 'delivered'] as const;
type Untold = (typeof UNTOLD)[number];

/** What people are told of one rotation, by the routes of its plan. A dry run is nobody's business but its requester's. */
export class RotationNews {
  private plan?: RotationPlan;
  /** How many notifications there were of what happens within the rotation. */
  private told = 0;

  constructor(
    private readonly secretId: string,
    private readonly input: RotationInput,
  ) {}

  follow(plan: RotationPlan): void {
    this.plan = plan;
  }

  /** Undefined where the plan names nobody; then the worker's log alone is told. */
  get routes(): NotificationRoute[] | undefined {
    return this.plan?.notifications;
  }

  async started(): Promise<void> {
    const { reason, requestedBy } = this.input;
    const why = reason === undefined ? '' : `: ${reason}`;
    const by = requestedBy === undefined ? '' : `, requested by ${requestedBy}`;
    await this.tell('rotation-started', `The rotation of ${this.secretId} has started${by}${why}.`);
  }

  async within({ event, message }: Notification): Promise<void> {
    this.told += 1;
    await this.tell(event, message, String(this.told));
  }

  async finished(outcome: Outcome, about: Pick<RotationResult, 'warnings' | 'requestedBy' | 'reason'>): Promise<void> {
    await this.ended(outcome, endInWords(this.secretId, outcome, about));
  }

  /** @param cause why it failed, if it did. */
  async ended(outcome: End, message: string, cause?: CauseDetails): Promise<void> {
    if (cause && isOfCatalog(cause) && !this.plan && isInForce('a-broken-catalog-is-told-once-a-day')) {
      return this.input.dryRun ? undefined : tellOfCatalog(this.input, cause);
    }
    if (isTold(outcome)) await this.tell(outcome, message);
  }

  /** Going back takes up an old value again, also in an emergency. */
  private replacesWhatLeaked(): boolean {
    return this.input.emergency === true && workflowInfo().workflowType !== 'rollbackSecret';
  }

  /** Tells whom the plan names; without a plan, whom the catalog names by then. */
  private async tell(event: NotificationEvent, message: string, which?: string): Promise<void> {
    const { environment, secret, requestedBy, reason, dryRun } = this.input;
    const severity = EVENT_SEVERITY[event];
    const channels = this.plan && channelsFor(this.plan.notifications ?? [], event, severity);
    if (dryRun || channels?.length === 0) return;
    if (!channels && !isInForce('a-refusal-without-a-plan-is-told')) return;
    const problem = await tellPeople(
      {
        environment,
        secret,
        event,
        severity,
        message,
        requestedBy,
        reason,
        ...(channels && { channels }),
        ...(this.replacesWhatLeaked() && { emergency: true }),
      },
      which,
    );
    if (problem !== undefined) log.error(`People could not be told of ${event}: ${problem}`);
  }
}

function isTold(outcome: End): outcome is Exclude<End, Untold> {
  return !UNTOLD.includes(outcome as Untold);
}

/** How a rotation that did not fail ended. */
function endInWords(
  secretId: string,
  outcome: Outcome,
  { warnings = [], requestedBy, reason }: Pick<RotationResult, 'warnings' | 'requestedBy' | 'reason'>,
): string {
  if (outcome !== 'aborted') return [`${secretId} was rotated.`, ...warnings].join(' ');
  const by = requestedBy === undefined ? '' : ` by ${requestedBy}`;
  const why = reason === undefined ? '' : ` (${reason})`;
  return `The rotation of ${secretId} was aborted${by}${why}; what was done is undone, and the version from before is in use.${warnings.map((warning) => ` ${warning}`).join('')}`;
}
