import { Context } from '@temporalio/activity';
import type { Dependent } from '../../rotation/plan';
import type { StepInput } from '../step-input';
import { waitUntilHealthy } from './http';

export interface DeliverInput extends StepInput {
  /** The version that the dependents have to use. */
  versionId: string;
  dependents: Dependent[];
}

export function createDeliveryActivities() {
  return {
    /** Brings a version to every dependent, and returns once all of them work with it. */
    async deliver({ dependents }: DeliverInput): Promise<void> {
      // Counted from the first attempt, so that retries do not prolong the wait.
      const startedAt = Context.current().info.scheduledTimestampMs;
      await Promise.all(dependents.map((dependent) => deliverTo(dependent, startedAt)));
    },
  };
}

/** What 'delivered' means for each kind of dependent. */
async function deliverTo(dependent: Dependent, startedAt: number): Promise<void> {
  switch (dependent.kind) {
    case 'http':
      return waitUntilHealthy(dependent, startedAt + dependent.timeoutMs);
  }
}
