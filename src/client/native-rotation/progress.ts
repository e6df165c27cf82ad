import type { RotationStatus } from '../../rotation/types';
import type { NativeStep } from './request';

/** The steps of the recipes by which the target system has the candidate. */
const SETS_TARGET = ['createCandidate', 'setPassword', 'prepareLogin'];

/**
 * Whether a rotation under way has done all that a step of Secrets Manager stands for: createSecret, the candidate is stored;
 * setSecret, the target system has it; testSecret, it is proved and about to be promoted; finishSecret, AWSCURRENT is on it, and the
 * dependents have it. What is left then is the retirement of the old credential.
 *
 * @param versionId of which version; a rotation to another one has done nothing for it.
 */
export function hasReached(step: NativeStep, status: RotationStatus, versionId: string): boolean {
  if (status.versions.candidate !== versionId) return false;
  if (status.phase === 'grace-period' || status.phase === 'retiring') return true;
  if (status.phase !== 'rotating') return false;
  const { steps } = status;
  switch (step) {
    case 'createSecret':
      return doneUpTo(steps, steps.findIndex(({ name }) => name === 'createCandidate') + 1);
    case 'setSecret':
      return doneUpTo(steps, steps.findLastIndex(({ name }) => SETS_TARGET.includes(name)) + 1);
    case 'testSecret':
      return doneUpTo(
        steps,
        steps.findIndex(({ name }) => name === 'promote'),
      );
    case 'finishSecret':
      return false;
  }
}

function doneUpTo(steps: RotationStatus['steps'], end: number): boolean {
  return end > 0 && steps.slice(0, end).every(({ state }) => state === 'done' || state === 'skipped');
}
