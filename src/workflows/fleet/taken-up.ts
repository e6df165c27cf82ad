import { sleep } from '@temporalio/workflow';
import { causeOf } from '../saga/failures';
import type { FleetCalls } from './calls';
import type { FleetLedger } from './ledger';

/** Pauses between two looks. */
const LOOK_PAUSE_MS = { first: 1_000, longest: 60_000 };

/**
 * Watches the rotations that an earlier run of the workflow has started: the server tells a child's end only to the run that started it.
 *
 * @param isContinuing another run takes them up in turn.
 */
export async function watchTakenUp(ledger: FleetLedger, calls: FleetCalls, isContinuing: () => boolean): Promise<void> {
  const taken = [...ledger.progress.running];
  let pause = LOOK_PAUSE_MS.first;
  for (;;) {
    const open = taken.filter((running) => ledger.progress.running.includes(running));
    if (open.length === 0 || isContinuing()) return;
    await calls.underWay(async () => {
      try {
        const rotations = open.map(({ of, runId = '' }) => ({ secret: of.secret, runId }));
        for (const end of await calls.lookAt(rotations)) ledger.settleEnd(end);
      } catch (error) {
        for (const { of } of open) ledger.settleEnd({ secret: of.secret, failure: causeOf(error) });
      }
    });
    await sleep(pause, { summary: 'before looking at the rotations again' });
    pause = Math.min(pause * 2, LOOK_PAUSE_MS.longest);
  }
}
