import { setTimeout as sleep } from 'node:timers/promises';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';

/**
 * PutSecretValue, UpdateSecret and UpdateSecretVersionStage share one quota of 50 a second for a whole account and region (AWS Secrets
 * Manager, 'Quotas'); a fifth is left to others.
 */
export const WRITES_PER_SECOND = 40;
const COUNTED = new Set(['PutSecretValueCommand', 'UpdateSecretCommand', 'UpdateSecretVersionStageCommand']);

/** How long a count of the workers is believed. */
const SHARE_FOR_MS = 10_000;

export interface WritePace {
  /** Resolves when the next write may be sent. */
  next(): Promise<void>;
}

/**
 * Lets so many writes go in a second as are this worker's share; they leave in order, evenly, after a burst of a tenth of a second.
 *
 * @param workers counts the workers that take tasks, this one included. One that cannot be counted leaves the share as it was.
 * @param perSecond what all workers may write in a second, together.
 */
export function createWritePace(workers: () => Promise<number>, perSecond: number): WritePace {
  let gapMs = 1_000 / perSecond;
  let askedAt = -Infinity;
  let freeAt = 0;

  /** Nobody writes before the first count; later ones must not hold writes up. */
  let firstCount: Promise<void> | undefined;

  function refreshShare(now: number): Promise<void> | undefined {
    if (now - askedAt >= SHARE_FOR_MS) {
      askedAt = now;
      const count = workers().then(
        (found) => void (gapMs = (1_000 / perSecond) * Math.max(found, 1)),
        () => undefined,
      );
      firstCount ??= count;
    }
    return firstCount;
  }

  return {
    async next() {
      await refreshShare(performance.now());
      const now = performance.now();
      const at = Math.max(freeAt, now - 100);
      freeAt = at + gapMs;
      if (at > now) await sleep(at - now);
    },
  };
}

/** Has every attempt at a counted write wait for its turn, also those that the SDK makes by itself. */
export function paceWrites(client: SecretsManagerClient, pace: WritePace): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        if (commandName !== undefined && COUNTED.has(commandName)) await pace.next();
        return next(args);
      },
    // Inside of the SDK's retries, which stand at the beginning of the same step.
    { step: 'finalizeRequest', priority: 'low', name: 'paceWrites' },
  );
}
