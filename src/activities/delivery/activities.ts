import type { Dependent } from '../../rotation/plan';
import type { StepInput } from '../step-input';
import { seeHealthy } from './http';

export interface DeliverInput extends StepInput {
  /** The version that the dependents have to use. */
  versionId: string;
  dependents: Dependent[];
}

export function createDeliveryActivities() {
  return {
    /**
     * Brings a version to every dependent. It looks once, and fails to be tried again while one does not work with the version yet:
     * the waiting is Temporal's and takes no place from other rotations.
     */
    async deliver({ dependents }: DeliverInput): Promise<void> {
      await Promise.all(dependents.map(deliverTo));
    },
  };
}

/** What 'delivered' means for each kind of dependent. */
async function deliverTo(dependent: Dependent): Promise<void> {
  switch (dependent.kind) {
    case 'http':
      return seeHealthy(dependent);
  }
}
