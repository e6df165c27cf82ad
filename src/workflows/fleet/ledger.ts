import { failedEntry, groupOf, isRefusalOfOneSecret } from '../../rotation/fleet';
import type {
  EndedRotation,
  FleetEntry,
  FleetInput,
  FleetSecret,
  FleetStatus,
  GracePeriodBegun,
} from '../../rotation/fleet';
import {
  abbreviated,
  noteEnd,
  noteStart,
  oldestFirst,
  startable,
  tooManyFailures,
} from '../../rotation/fleet-schedule';
import { rotationWorkflowId } from '../../rotation/names';
import { indexFleet, writeFleetLogbook } from './logbook';
import { newProgress, statusOf } from './progress';
import type { FleetProgress, Running } from './progress';
import { isInForce } from '../changes';

const isoNow = () => new Date().toISOString();

/** What became of a secret, without what is known of it anyhow. */
export type About = Omit<FleetEntry, 'secret' | 'type'>;

/** What of a fleet waits, what runs, and what became of the others; and when it is hopeless to go on. */
export class FleetLedger {
  readonly progress: FleetProgress;
  /** Something has happened since somebody set this to false. */
  changed = false;

  /** @param known what an earlier run of the workflow has come to; one of an earlier worker may lack something. */
  constructor(
    private readonly input: FleetInput,
    known?: FleetProgress,
  ) {
    this.progress = { ...newProgress(isoNow()), ...known };
  }

  status(): FleetStatus {
    return statusOf(this.input, this.progress);
  }

  /** Shows how it stands, where people look. */
  note(): void {
    const status = this.status();
    indexFleet(status);
    writeFleetLogbook(status);
  }

  /** Takes in what the survey has found. */
  queue(found: readonly FleetSecret[]): void {
    // The catalog may have been edited between two pages.
    const distinct = [...new Map(found.map((secret) => [secret.secret, secret])).values()];
    const { progress } = this;
    for (const { secret, type, skip } of distinct) {
      if (skip) progress.settled.push({ secret, type, ...skip });
    }
    progress.waiting = abbreviated(oldestFirst(distinct.filter(({ skip }) => !skip)));
    progress.phase = 'rotating';
    if (progress.stopped !== undefined) this.leave(() => true, progress.stopped);
    this.note();
  }

  /** Takes those that may start now from the ones that wait. */
  takeStartable(): Running[] {
    const { progress } = this;
    if (!progress.policy) return [];
    const running = progress.running.map(({ of }) => of);
    const chosen = startable(progress.waiting, running, progress.policy, this.keptApart());
    const starting = new Set(chosen.map(({ secret }) => secret));
    progress.waiting = progress.waiting.filter(({ secret }) => !starting.has(secret));
    return chosen.map((secret) => {
      const taken: Running = { of: secret, startedAt: isoNow() };
      progress.running.push(taken);
      noteStart(progress.attempts, secret);
      return taken;
    });
  }

  /** What is in the way is being changed, and must not be used meanwhile. Fleets that began before that was heeded go on without. */
  private keptApart(): FleetSecret[] {
    const { inTheWay, obstructions } = this.progress;
    const changing = inTheWay.filter(({ secret }) => obstructions[secret]?.inGracePeriod !== true);
    return changing.length > 0 && this.progress.waiting.length > 0 && isInForce('what-is-in-the-way-is-kept-apart')
      ? changing
      : [];
  }

  hasMoreToStart(): boolean {
    return this.progress.waiting.length > 0 || this.progress.inTheWay.length > 0;
  }

  isOver(): boolean {
    return !this.hasMoreToStart() && this.progress.running.length === 0;
  }

  settleEnd({ secret, outcome, failure }: EndedRotation): void {
    this.settle(secret, failure ? failedEntry(failure) : { outcome: outcome ?? 'failed' });
  }

  /**
   * Counts a rotation as done that has begun its grace period. Those that an earlier fleet of the same ID has left running tell this one
   * too. The message may come before it is known whether the rotation was started: then it counts for now.
   */
  settleInGracePeriod({ secret, runId, graceEndsAt }: GracePeriodBegun): void {
    const running = this.progress.running.find(({ of }) => of.secret === secret);
    if (running?.runId !== undefined && runId !== undefined && running.runId !== runId) return;
    this.settle(secret, { outcome: 'in-grace-period', graceEndsAt, ...(runId !== undefined && { runId }) });
  }

  /** Notes what became of a rotation that runs; one that was noted before stays as it was. */
  settle(secret: string, about: About): void {
    const { progress } = this;
    const running = progress.running.find(({ of }) => of.secret === secret);
    if (!running) return;
    const { of, runId } = running;
    progress.running = progress.running.filter((other) => other !== running);
    this.enter(of, { runId, ...about });
    const failed = saysNothingOfOthers(about) ? undefined : groupOf(about.outcome) === 'failed';
    noteEnd(progress.attempts, of, failed);
    if (failed) this.giveUpWhereHopeless(of);
    this.changed = true;
    this.note();
  }

  /**
   * Has one that was to be started wait for the end of what is in its way.
   *
   * @param what runs, in the words of `describeRotation`.
   * @param now milliseconds since the epoch.
   */
  putAside({ of }: Running, what: string, now: number, pauseMs: number): void {
    const { progress } = this;
    progress.running = progress.running.filter((running) => running.of !== of);
    // What is in its way may have told of its grace period, as if it had been started here.
    progress.settled = progress.settled.filter(({ secret }) => secret !== of.secret);
    noteEnd(progress.attempts, of, undefined);
    const known = progress.obstructions[of.secret] ?? { since: now, pauseMs };
    progress.obstructions[of.secret] = {
      ...known,
      what,
      inGracePeriod: isInGracePeriod(what, now),
      lookAt: nextLook(now, known.pauseMs),
    };
    progress.inTheWay.push(of);
    if (progress.stopped !== undefined) this.leave(() => true, progress.stopped);
    this.changed = true;
    this.note();
  }

  /** What was in its way is gone: it is started before the others. */
  bringBack(secret: string): void {
    const of = this.outOfTheWay(secret);
    if (!of) return;
    this.progress.waiting.unshift(of);
    this.note();
  }

  /** Notes what became of one that need not be started any more, or cannot be. */
  settleAside(secret: string, about: About): void {
    const of = this.outOfTheWay(secret);
    if (!of) return;
    this.enter(of, about);
    this.note();
  }

  private outOfTheWay(secret: string): FleetSecret | undefined {
    const { progress } = this;
    const of = progress.inTheWay.find((other) => other.secret === secret);
    progress.inTheWay = progress.inTheWay.filter((other) => other !== of);
    this.changed = true;
    return of;
  }

  /** Has no further one started. */
  stop(reason: string): void {
    if (this.progress.stopped !== undefined) return;
    this.progress.stopped = reason;
    this.leave(() => true, reason);
    this.changed = true;
  }

  private enter({ secret, type }: FleetSecret, about: About): void {
    const workflowId = rotationWorkflowId(this.input.environment, secret);
    const after = this.progress.obstructions[secret]?.what;
    this.progress.settled.push({ secret, type, workflowId, ...about, ...(after !== undefined && { after }) });
  }

  private giveUpWhereHopeless({ target }: FleetSecret): void {
    const { attempts, policy } = this.progress;
    if (!policy) return;
    // What leaked is in use until it is rotated; targets that have nothing in common do not make each other hopeless.
    const byTargetOnly = this.input.emergency === true && isInForce('an-emergency-gives-up-by-target-only');
    const over = byTargetOnly ? undefined : tooManyFailures(attempts, policy);
    if (over) return this.stop(`${over.length} rotations in a row failed: ${over.join(', ')}`);
    const row = target === undefined ? undefined : tooManyFailures(attempts, policy, target);
    if (!row) return;
    this.leave(
      (waiting) => waiting.target === target,
      `${row.length} rotations in a row failed on ${target}: ${row.join(', ')}`,
    );
  }

  private leave(which: (waiting: FleetSecret) => boolean, reason: string): void {
    const { progress } = this;
    for (const { secret, type } of [...progress.waiting, ...progress.inTheWay].filter(which)) {
      progress.settled.push({ secret, type, outcome: 'not-started', reason });
    }
    progress.waiting = progress.waiting.filter((waiting) => !which(waiting));
    progress.inTheWay = progress.inTheWay.filter((waiting) => !which(waiting));
    this.note();
  }
}

/** An abort is a person's will, and some refusals are the secret's own: they say nothing of the target. */
function saysNothingOfOthers(about: About): boolean {
  if (about.outcome === 'aborted' || groupOf(about.outcome) === 'skipped') return true;
  return isRefusalOfOneSecret(about) && isInForce('a-refusal-of-one-secret-stops-no-other');
}

/** Only of a rotation that has a grace period the words end with when that ends. */
function isInGracePeriod(what: string, now: number): boolean {
  return Date.parse(/ until (\S+)$/.exec(what)?.[1] ?? '') > now;
}

/** Looks at moments that many have in common, so that one look is for all of them. */
export function nextLook(now: number, pauseMs: number): number {
  return (Math.floor(now / pauseMs) + 1) * pauseMs;
}
