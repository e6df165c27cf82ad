import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
beforeAll(async () => {
  bed = await openTestbed();
  await bed.startWorker();
});
afterAll(() => bed.close());

test('a missing application secret is created', async () => {
  await bed.declare({ 'jwt-secret': { type: 'app-secret' } });
  const result = await bed.rotate('jwt-secret');
  expect(result).toMatchObject({ outcome: 'rotated', type: 'app-secret' });
  expect(await bed.secrets.value('jwt-secret')).toMatch(/^[A-Za-z0-9!@#$%^&*]{64}$/);
  expect(await bed.secrets.labels('jwt-secret')).toEqual({ current: result.versions.current });
});

test('a single-user rotation ends with a new password that opens the database and an old one that does not', async () => {
  const { secret } = await bed.databases.singleUser('database/app');
  const { versions } = await bed.rotate(secret);
  expect(await bed.databases.opens(secret)).toBe(true);
  expect(await bed.databases.opens(secret, { versionId: versions.previous ?? '' })).toBe(false);
});
