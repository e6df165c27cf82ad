import type { Testbed } from './testbed';

/** Somebody who logs in with one version of a secret all the time. */
export interface SteadyLogins {
  /** @returns how often the version was let in and how often it was refused. */
  stop(): Promise<{ opened: number; refused: number }>;
}

/** Logs in with the version that is AWSCURRENT now, again and again, until stopped. */
export async function keepLoggingIn(bed: Testbed, secret: string): Promise<SteadyLogins> {
  const { current: versionId = '' } = await bed.secrets.labels(secret);
  const seen = { opened: 0, refused: 0 };
  let stopped = false;
  const logins = (async () => {
    while (!stopped) seen[(await bed.databases.opens(secret, { versionId })) ? 'opened' : 'refused'] += 1;
  })();
  logins.catch(() => undefined);
  return {
    async stop() {
      stopped = true;
      await logins;
      return seen;
    },
  };
}
