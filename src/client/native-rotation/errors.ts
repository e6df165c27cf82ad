import { secretIdOf } from '../../rotation/names';
import type { NativeStep, StepRequest } from './request';

/** Thrown for a step that cannot be carried out, however often it is called; nothing was started or changed by it. */
export class StepRefused extends Error {
  override readonly name = 'StepRefused';

  constructor(why: string) {
    super(`${why} Nothing was started or changed.`);
  }
}

/** Thrown when a step is asked for whose rotation was never started; Secrets Manager calls createSecret first. */
export class NotBegun extends StepRefused {
  constructor({ step, environment, secret, versionId }: StepRequest) {
    super(
      `${step} of ${secretIdOf(environment, secret)} came before createSecret: no rotation to version ${versionId} is known.`,
    );
  }
}

/** Thrown when the function's time is over before the step's part of the rotation is done. The rotation goes on. */
export class StepUnfinished extends Error {
  override readonly name = 'StepUnfinished';

  /** @param at where the rotation stands, in words. */
  constructor(step: NativeStep, secretId: string, at: string) {
    super(
      `${step} of ${secretId} is not done yet: ${at}. The rotation goes on; Secrets Manager calls again and finds it where it is then. Follow it: keyturn status ${secretId} --follow`,
    );
  }
}
