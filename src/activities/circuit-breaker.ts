import { ApplicationFailure } from '@temporalio/common';
import { BrokenCircuitError, ConsecutiveBreaker, circuitBreaker, handleWhen } from 'cockatiel';
import { Cause } from '../rotation/errors';
import { failure } from './failures';

const FAILURES_IN_A_ROW = 5;
const REST_MS = 5_000;

/**
 * Lets calls to one target through until five in a row found it out of reach; then every caller in this worker rests for five
 * seconds, and one of them tries again. Answers of the target, however bad, do not count.
 *
 * @param target how the target is called in messages.
 */
export function circuitBreakerFor(target: string): <T>(call: () => Promise<T>) => Promise<T> {
  let lastFailure = '';
  const policy = circuitBreaker(
    handleWhen((error) => {
      if (!(error instanceof ApplicationFailure) || error.type !== Cause.TargetUnavailable) return false;
      lastFailure = error.message;
      return true;
    }),
    { breaker: new ConsecutiveBreaker(FAILURES_IN_A_ROW), halfOpenAfter: REST_MS },
  );
  return async (call) => {
    try {
      return await policy.execute(call);
    } catch (error) {
      if (!(error instanceof BrokenCircuitError)) throw error;
      throw failure(
        Cause.TargetUnavailable,
        `${target} was out of reach ${FAILURES_IN_A_ROW} times in a row, and is left alone for ${REST_MS / 1_000} s. The last time: ${lastFailure}`,
        REST_MS,
      );
    }
  };
}
