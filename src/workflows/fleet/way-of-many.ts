import { condition } from '@temporalio/workflow';
import { formatDuration } from '../../rotation/durations';
import { LOOK_PAUSE_MS, longerPause, PATIENCE_MS } from '../../rotation/emergency';
import type { Obstacle } from '../../rotation/emergency';
import { Cause } from '../../rotation/errors';
import { clearTheWay } from '../emergency/clear-the-way';
import type { Emergency } from '../emergency/clear-the-way';
import type { FleetCalls } from './calls';
import { nextLook } from './ledger';
import type { FleetLedger } from './ledger';
import type { Running } from './progress';

/** So many are looked at by one activity. */
const LOOKED_AT_ONCE = 100;

/**
 * What is in the way of an emergency's rotations. A rotation that runs may have begun before the leak, so that its end is not enough: its
 * grace period is ended, its end is waited for, and the secret is rotated again. The others are rotated meanwhile.
 */
export class WayOfMany {
  private watching = false;

  /** @param isContinuing another run of the workflow goes on with it. */
  constructor(
    private readonly ledger: FleetLedger,
    private readonly calls: FleetCalls,
    private readonly emergency: Emergency,
    private readonly isContinuing: () => boolean,
  ) {}

  /** @param what is in the way, in words. */
  putAside(running: Running, what: string): void {
    this.ledger.putAside(running, what, Date.now(), LOOK_PAUSE_MS.first);
    this.watch();
  }

  /** Looks at it from now on. */
  watch(): void {
    if (!this.watching) void this.keepLooking();
  }

  private async keepLooking(): Promise<void> {
    this.watching = true;
    for (let next = this.next(); next !== undefined && !this.isContinuing(); next = this.next()) {
      const now = Date.now();
      if (next <= now) {
        await this.look(now);
        continue;
      }
      const until = next;
      const summary = `before looking at what is in the way of ${this.ledger.progress.inTheWay.length}`;
      await condition(() => this.isContinuing() || (this.next() ?? 0) < until, until - now, { summary });
    }
    this.watching = false;
  }

  /** When the next of them is to be looked at; nothing when none is left. */
  private next(): number | undefined {
    const { inTheWay, obstructions } = this.ledger.progress;
    if (inTheWay.length === 0) return undefined;
    return Math.min(...inTheWay.map(({ secret }) => obstructions[secret]?.lookAt ?? 0));
  }

  private async look(now: number): Promise<void> {
    const { inTheWay, obstructions } = this.ledger.progress;
    const due = inTheWay.map(({ secret }) => secret).filter((secret) => (obstructions[secret]?.lookAt ?? 0) <= now);
    await this.calls.underWay(async () => {
      for (const obstacle of await clearTheWay(this.emergency, due.slice(0, LOOKED_AT_ONCE))) this.settle(obstacle);
    });
  }

  private settle({ secret, state, runId, what }: Obstacle): void {
    switch (state) {
      case 'gone':
        return this.ledger.bringBack(secret);
      case 'replaced':
        return this.ledger.settleAside(secret, { outcome: 'rotated', runId });
      case 'unstoppable':
        return this.giveUp(secret, `it has to ${what}, and only the provider can do that sooner`);
      case 'running':
        return this.waitOn(secret);
    }
  }

  private waitOn(secret: string): void {
    const obstruction = this.ledger.progress.obstructions[secret];
    if (!obstruction) return;
    const now = Date.now();
    if (now > obstruction.since + PATIENCE_MS) {
      return this.giveUp(secret, `it did not end within ${formatDuration(PATIENCE_MS)}`);
    }
    obstruction.pauseMs = longerPause(obstruction.pauseMs);
    obstruction.lookAt = nextLook(now, obstruction.pauseMs);
  }

  private giveUp(secret: string, why: string): void {
    const runs = this.ledger.progress.obstructions[secret]?.what ?? '';
    const message = `${runs}; ${why}. What leaked may still be valid: rotate it again when that has ended`;
    this.ledger.settleAside(secret, { outcome: 'in-the-way', cause: { type: Cause.InTheWay, message } });
  }
}
