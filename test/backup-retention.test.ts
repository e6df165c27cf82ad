import { PutBucketLifecycleConfigurationCommand } from '@aws-sdk/client-s3';
import type { LifecycleRule } from '@aws-sdk/client-s3';
import { backUp, createBackupPlace } from './testbed/backups';
import type { BackupPlace } from './testbed/backups';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let place: BackupPlace;

beforeAll(async () => {
  place = await createBackupPlace({ keep: '35 days' });
  bed = await openTestbed(place.policy);
  await bed.secrets.create('unused', 'value-of-the-only-secret');
  await bed.startWorker();
});
afterAll(async () => {
  await bed.close();
  place.close();
});

/** What a backup warns of, when the bucket's lifecycle has some rules. */
async function warningsWith(...rules: Partial<LifecycleRule>[]): Promise<string[]> {
  const Rules = rules.map((rule, n): LifecycleRule => ({
    ID: `rule-${n}`,
    Status: 'Enabled',
    Filter: { Prefix: '' },
    ...rule,
  }));
  await place.s3.send(
    new PutBucketLifecycleConfigurationCommand({ Bucket: place.bucket, LifecycleConfiguration: { Rules } }),
  );
  return (await backUp(bed)).warnings;
}

const early = (days: number) => [
  `A lifecycle rule of the bucket ${place.bucket} removes backups of ${bed.environment} after ${days} days, and the catalog says to keep them for 35. Correct one of the two.`,
];
const never = [expect.stringContaining('No lifecycle rule of the bucket') as string];
const ofEnvironment = (environment: string) => ({ Filter: { Prefix: `secret-backups/${environment}/` } });

test('a rule that removes backups earlier than the catalog says is warned of, the earliest of several', async () => {
  expect(await warningsWith({ Expiration: { Days: 34 } })).toEqual(early(34));
  expect(await warningsWith({ Expiration: { Days: 90 } }, { Expiration: { Days: 7 } })).toEqual(early(7));
  expect(await warningsWith({ Expiration: { Days: 3 }, ...ofEnvironment(bed.environment) })).toEqual(early(3));
});

test('a rule that keeps them as long as the catalog says is right', async () => {
  expect(await warningsWith({ Expiration: { Days: 35 } })).toEqual([]);
  expect(await warningsWith({ Expiration: { Days: 400 } })).toEqual([]);
});

test('a rule of another environment, or one that is off, removes none of them', async () => {
  expect(await warningsWith({ Expiration: { Days: 3 }, ...ofEnvironment('another') })).toEqual(never);
  expect(await warningsWith({ Expiration: { Days: 3 }, Status: 'Disabled' })).toEqual(never);
});
