import { condition } from '@temporalio/workflow';
import { MAX_GRACE_PERIOD_MS } from '../../rotation/durations';
import type { PhaseInStep } from '../../rotation/plan';
import type { RotationStatus } from '../../rotation/types';
import { isInForce } from '../changes';

/** What applications are told of a grace period. */
export interface Announcement {
  /** ISO 8601. */
  graceEndsAt: string;
  /** 0 to 100. */
  phaseInPercent: number;
}

/** How one stretch of a grace period goes by. Times are milliseconds since the epoch. */
export interface GraceOptions {
  endsAt: number;
  /** The latest that its end can be moved to; 30 days after its start when absent. */
  latest?: number;
  /** What share of use the new credential gets when; an operator's own setting ends it. */
  phaseIn?: readonly PhaseInStep[];
  /** What applications were told last. */
  announced?: Announcement;
  /**
   * Tells applications of a change, at ever longer intervals, so that no flood of requests becomes one of writes.
   * @returns false when that did not work and is to be tried again.
   */
  announce?(announcement: Announcement): Promise<boolean>;
  /** How long before the end people are reminded, in milliseconds. */
  remindBefore?: readonly number[];
  remind?(leftMs: number): Promise<void>;
}

/** The pause after the nth announcement is n times as long, up to the longest. */
const ANNOUNCEMENT_PAUSE_MS = { first: 1_000, longest: 600_000 };

/** The time in which both credentials work. Its deadline is absolute, and it is the operators' to move. */
export class GracePeriod {
  private startedAt?: number;
  private open = false;
  private endedByOperator = false;
  private phaseInByOperator = false;
  private announced?: Announcement;
  private announcements = 0;
  private nextAnnouncement = 0;
  private readonly requestIds = new Set<string>();

  constructor(private readonly status: RotationStatus) {}

  /** @returns false when a request with that ID was taken before. */
  isNew(requestId: string | undefined): boolean {
    if (requestId === undefined) return true;
    if (this.requestIds.has(requestId)) return false;
    this.requestIds.add(requestId);
    return true;
  }

  /** A stretch of it is being waited out; otherwise moving its end would change nothing. */
  isOpen(): boolean {
    return this.open;
  }

  moveEnd(endsAt: Date): void {
    this.status.graceEndsAt = endsAt.toISOString();
  }

  end(): void {
    this.status.graceEndsAt = new Date().toISOString();
    this.endedByOperator = true;
  }

  wasEnded(): boolean {
    return this.endedByOperator;
  }

  setPhaseIn(percent: number): void {
    this.status.phaseInPercent = percent;
    this.phaseInByOperator = true;
  }

  /** When the first stretch began. */
  start(): number {
    this.startedAt ??= Date.now();
    return this.startedAt;
  }

  /** Begins another stretch, for which an operator's earlier end does not count. */
  async waitOut(options: GraceOptions): Promise<void> {
    this.open = true;
    try {
      await this.passTime(options);
    } finally {
      this.open = false;
    }
  }

  private async passTime(options: GraceOptions): Promise<void> {
    const { endsAt, latest, phaseIn = [], announce, remindBefore = [], remind } = options;
    const { status } = this;
    this.announced = options.announced ?? this.announced;
    this.endedByOperator = false;
    status.graceEndsAt = new Date(endsAt).toISOString();
    status.graceEndsLatest = new Date(latest ?? this.start() + MAX_GRACE_PERIOD_MS).toISOString();
    if (announce) status.phaseInPercent ??= 0;
    const wakesForLaterEnd = !isInForce('a-later-end-needs-no-waking');
    let reminders = { end: 0, at: [] as number[] };
    while (!this.endedByOperator) {
      const now = Date.now();
      const end = Date.parse(status.graceEndsAt);
      if (end <= now) return;

      const schedule = this.phaseInByOperator
        ? []
        : phaseIn.map((step) => ({ ...step, at: this.start() + step.afterMs }));
      const due = schedule.filter(({ at }) => at <= now).at(-1);
      if (due) status.phaseInPercent = due.percent;
      const changed = announce !== undefined && this.isUnannounced();
      if (changed && now >= this.nextAnnouncement) {
        await this.announceNow(announce);
        continue;
      }

      if (reminders.end !== end) {
        reminders = { end, at: remindBefore.map((before) => end - before).filter((at) => at > now) };
      } else if (reminders.at.some((at) => at <= now)) {
        reminders.at = reminders.at.filter((at) => at > now);
        await remind?.(end - now);
        continue;
      }

      const wakeAt = Math.min(
        end,
        ...schedule.map(({ at }) => at).filter((at) => at > now),
        ...reminders.at,
        ...(changed ? [this.nextAnnouncement] : []),
      );
      // A later end needs no waking: the timer that runs fires at the earlier one, and another is set then.
      const disturbed = () =>
        this.endedByOperator ||
        (announce !== undefined && !changed && this.isUnannounced()) ||
        (wakesForLaterEnd && status.graceEndsAt !== new Date(end).toISOString());
      await condition(disturbed, wakeAt - now, { summary: `grace period until ${status.graceEndsAt}` });
    }
  }

  private current(): Announcement {
    return { graceEndsAt: this.status.graceEndsAt ?? '', phaseInPercent: this.status.phaseInPercent ?? 0 };
  }

  private isUnannounced(): boolean {
    const { graceEndsAt, phaseInPercent } = this.current();
    return this.announced?.graceEndsAt !== graceEndsAt || this.announced.phaseInPercent !== phaseInPercent;
  }

  private async announceNow(announce: NonNullable<GraceOptions['announce']>): Promise<void> {
    const announcement = this.current();
    const { first, longest } = ANNOUNCEMENT_PAUSE_MS;
    if (await announce(announcement)) this.announced = announcement;
    this.announcements++;
    this.nextAnnouncement = Date.now() + Math.min(first * this.announcements, longest);
  }
}
