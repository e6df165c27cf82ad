import type { HttpDependent } from '../../rotation/dependents';
import type { Check } from './check';
import { check, failed, ok, reasonOf } from './check';

const TIMEOUT_MS = 5_000;

/** Whether a workload that uses the secret is healthy now; a rotation would be rolled back otherwise. */
export async function checkHttpDependent(secretId: string, dependent: HttpDependent): Promise<Check> {
  const name = `dependent ${dependent.name} of ${secretId}`;
  const todo = `Make it healthy first, or correct its healthUrl in the catalog: a rotation of ${secretId} would be rolled back.`;
  return check(
    name,
    async () => {
      const { origin } = new URL(dependent.healthUrl);
      let status: number;
      try {
        const response = await fetch(dependent.healthUrl, {
          redirect: 'manual',
          signal: AbortSignal.timeout(TIMEOUT_MS),
        });
        await response.body?.cancel();
        status = response.status;
      } catch (error) {
        const cause = error instanceof Error ? error.cause : undefined;
        return failed(name, `${origin} does not answer (${reasonOf(cause ?? error)})`, todo);
      }
      if (status === dependent.expectStatus) return ok(name, `${origin} answers ${status}`);
      return failed(name, `${origin} answers ${status}, expected ${dependent.expectStatus}`, todo);
    },
    todo,
  );
}
