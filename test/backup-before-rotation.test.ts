import { backUp, createBackupPlace, restore } from './testbed/backups';
import type { BackupPlace } from './testbed/backups';
import { createSubject, KINDS } from './testbed/subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let place: BackupPlace;
beforeAll(async () => {
  place = await createBackupPlace({ beforeRotation: true });
  bed = await openTestbed({ ...place.policy, stepTimeout: '5 seconds' });
  await bed.startWorker();
});
afterAll(async () => {
  await bed.close();
  place.close();
});

const backupsOf = async (secret: string) =>
  (await place.objects()).filter((url) => url.includes(`/${bed.environment}/${secret}/`));

test.each(KINDS)('a rotation of type %s first backs up its secret, which can be restored from that', async (kind) => {
  const secret = `first/${kind}`;
  const subject = await createSubject(bed, kind, secret);
  const old = await bed.secrets.value(secret);
  const { steps } = await bed.rotate(secret);
  expect(steps.map(({ name }) => name)).toContain('backUp');
  const [url = ''] = await backupsOf(secret);
  const { secrets, outcome } = await restore(bed, { from: url });
  if (kind === 'api-key') {
    // Its key is revoked by then.
    expect(secrets).toEqual([expect.objectContaining({ secret, outcome: 'refused', difference: 'differs' })]);
    expect(await bed.secrets.value(secret)).not.toBe(old);
  } else {
    expect({ secrets, outcome }).toMatchObject({ outcome: 'restored', secrets: [{ secret, difference: 'differs' }] });
    expect(await bed.secrets.value(secret)).toBe(old);
  }
  expect(await subject.opens()).toBe(true);
});

test('an emergency does not wait for a backup', async () => {
  await createSubject(bed, 'single-user', 'leaked');
  await bed.rotate('leaked', { emergency: true });
  expect(await backupsOf('leaked')).toEqual([]);
});

test('a rotation whose backup cannot be stored changes nothing', async () => {
  const subject = await createSubject(bed, 'single-user', 'unsafe');
  const before = await subject.situation();
  await bed.writeCatalog(
    JSON.stringify({
      environments: {
        [bed.environment]: {
          backup: { bucket: 'no-such-bucket-of-keyturn', kmsKey: place.kmsKey, beforeRotation: true },
          secrets: { unsafe: { type: 'database', strategy: 'single-user', sslmode: 'disable' } },
        },
      },
    }),
  );
  expect(await failureOf((await bed.start('unsafe')).result())).toMatchObject({
    type: 'RotationRefused',
    details: { step: 'backUp', cause: { type: 'BackupMissing' } },
  });
  expect(await subject.situation()).toEqual(before);
  await bed.declare({});
});

test('the latest backup is of the environment, never of one secret', async () => {
  const { url } = await backUp(bed);
  await createSubject(bed, 'app-secret', 'later');
  await bed.rotate('later');
  expect(await restore(bed, { dryRun: true })).toMatchObject({
    from: expect.stringContaining(`${url}?versionId=`) as string,
  });
});
