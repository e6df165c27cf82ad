import { PutSecretValueCommand, UpdateSecretVersionStageCommand } from '@aws-sdk/client-secrets-manager';
import { countWorkers } from '../src/runtime/count-workers';
import { createWritePace, paceWrites } from '../src/runtime/write-pace';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

let bed: Testbed;
beforeAll(async () => {
  bed = await openTestbed();
});
afterAll(() => bed.close());

async function tookMs(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

test('each of several workers takes its share of the account, so that together they stay below it', async () => {
  const pace = createWritePace(() => Promise.resolve(4), 80);
  // 20 a second are its share; the burst is a tenth of a second.
  const took = await tookMs(() => Promise.all(Array.from({ length: 21 }, () => pace.next())));
  expect(took).toBeGreaterThan(850);
});

test('a worker that cannot count the others goes on', async () => {
  const pace = createWritePace(() => Promise.reject(new Error('Temporal does not answer')), 1_000);
  await Promise.all(Array.from({ length: 5 }, () => pace.next()));
});

test('writes wait for their turn, and reads do not', async () => {
  const versionId = await bed.secrets.create('paced', 'first-value-of-paced');
  let turns = 0;
  paceWrites(bed.secretsManager, { next: () => Promise.resolve(void turns++) });
  const SecretId = bed.secrets.idOf('paced');
  await bed.secrets.value('paced');
  await bed.secrets.labels('paced');
  expect(turns).toBe(0);
  await bed.secretsManager.send(
    new PutSecretValueCommand({ SecretId, SecretString: 'second-value-of-paced', VersionStages: ['AWSPENDING'] }),
  );
  const { pending } = await bed.secrets.labels('paced');
  await bed.secretsManager.send(
    new UpdateSecretVersionStageCommand({
      SecretId,
      VersionStage: 'AWSCURRENT',
      RemoveFromVersionId: versionId,
      MoveToVersionId: pending,
    }),
  );
  expect(turns).toBe(2);
});

test('the workers that take tasks are counted', async () => {
  const count = () => countWorkers(bed.client.connection, 'default', bed.taskQueue);
  expect(await count()).toBe(0);
  await Promise.all([bed.startWorker(), bed.startWorker()]);
  await until('both are seen', async () => (await count()) === 2, { withinMs: 30_000 });
});
