import { userInfo } from 'node:os';

/** Who acts, for the audit trail: `KEYTURN_REQUESTED_BY` where a pipeline acts for a person, else the OS user. */
export function operatorName(env: NodeJS.ProcessEnv): string | undefined {
  const named = env.KEYTURN_REQUESTED_BY?.trim();
  if (named) return named;
  try {
    return userInfo().username;
  } catch {
    // A container's user ID need not have a name.
    return process.getuid ? `uid ${process.getuid()}` : undefined;
  }
}
