import { outsideCall } from '../boundary/activity-scope';
import { errorNameOf } from '../aws-errors';
import { toFailure } from './aws-errors';

/**
 * How Secrets Manager is called: noted for the audit trail, its errors in the words of a rotation.
 *
 * @param guard stands around each call, such as a circuit breaker.
 */
export function createSecretsManagerCalls(guard: <T>(call: () => Promise<T>) => Promise<T> = (call) => call()) {
  async function call<T>(secretId: string, operation: string, send: () => Promise<T>): Promise<T> {
    return guard(() =>
      outsideCall('secretsmanager', operation, async () => {
        try {
          return await send();
        } catch (error) {
          throw toFailure(error, secretId, operation);
        }
      }),
    );
  }

  /** Like {@link call}, but `undefined` when AWS says that there is no such thing. */
  async function lookUp<T>(secretId: string, operation: string, send: () => Promise<T>): Promise<T | undefined> {
    return call(secretId, operation, async () => {
      try {
        return await send();
      } catch (error) {
        if (errorNameOf(error) === 'ResourceNotFoundException') return undefined;
        throw error;
      }
    });
  }

  return { call, lookUp };
}

export type SecretsManagerCalls = ReturnType<typeof createSecretsManagerCalls>;
