import type { TestDatabase } from './databases';
import type { Testbed } from './testbed';

/**
 * Watches a single-user rotation from outside, as fast as the database and Secrets Manager answer.
 *
 * @returns for how many milliseconds AWSCURRENT did not open the database: from the last login that the old version opened to the first
 * read that gave the new one. It is the longest that the window can have been; the time between two looks is in it.
 */
export async function watchLoginWindow(
  bed: Testbed,
  { secret }: TestDatabase,
  rotate: () => Promise<unknown>,
): Promise<number> {
  const { current: versionId = '' } = await bed.secrets.labels(secret);
  const old = await bed.secrets.valueOfVersion(secret, versionId);
  let over = false;

  async function lastOpened(): Promise<number> {
    let last = performance.now();
    for (;;) {
      const [lookedAt, tooLate] = [performance.now(), over];
      if (!(await bed.databases.opens(secret, { versionId }))) return last;
      if (tooLate) throw new Error('the old version opens the database after the rotation');
      last = lookedAt;
    }
  }

  async function firstReplaced(): Promise<number> {
    for (;;) {
      const tooLate = over;
      if ((await bed.secrets.value(secret)) !== old) return performance.now();
      if (tooLate) throw new Error('AWSCURRENT is the old version after the rotation');
    }
  }

  const rotation = rotate().finally(() => (over = true));
  const [opened, replaced] = await Promise.all([lastOpened(), firstReplaced(), rotation]);
  return replaced - opened;
}
