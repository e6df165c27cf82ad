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
  rotation: Promise<unknown>,
): Promise<number> {
  const { current: versionId = '' } = await bed.secrets.labels(secret);
  let over = false;
  const ended = rotation.finally(() => (over = true));

  async function lastOpened(): Promise<number> {
    for (let last = NaN; ;) {
      const lookedAt = performance.now();
      if (!(await bed.databases.opens(secret, { versionId }))) return last;
      if (over) throw new Error('the old version opens the database after the rotation');
      last = lookedAt;
    }
  }

  async function firstReplaced(): Promise<number> {
    const old = await bed.secrets.valueOfVersion(secret, versionId);
    while ((await bed.secrets.value(secret)) === old) {
      if (over) throw new Error('AWSCURRENT is the old version after the rotation');
    }
    return performance.now();
  }

  const [opened, replaced] = await Promise.all([lastOpened(), firstReplaced(), ended]);
  return replaced - opened;
}
