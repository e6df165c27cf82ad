import { DeleteSecretCommand, ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { rotationWorkflowId } from '../src/rotation/names';
import type { KeyDocument } from './testbed/api-keys';
import { backUp, createBackupPlace, restore } from './testbed/backups';
import type { BackupPlace } from './testbed/backups';
import { createSubject, hasGracePeriod, KINDS } from './testbed/subjects';
import type { Subject } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { inPhase } from './testbed/watching';

let bed: Testbed;
let place: BackupPlace;
let subjects: Subject[];

beforeAll(async () => {
  place = await createBackupPlace();
  // Long enough for no test to wait until undoing is given up.
  bed = await openTestbed({ ...place.policy, rollbackTimeout: '24 hours' });
  await bed.startWorker();
  subjects = await Promise.all(
    KINDS.filter(hasGracePeriod).map((kind) => createSubject(bed, kind, kind, { gracePeriod: '1 hour' })),
  );
  for (const { secret } of subjects) await inPhase(await bed.start(secret), 'grace-period');
  await backUp(bed);
  await loseEverything();
}, 120_000);
afterAll(async () => {
  await bed.close();
  place.close();
});

/** Half of them for good, and half with a recovery window. */
async function loseEverything(): Promise<void> {
  const { SecretList = [] } = await bed.secretsManager.send(
    new ListSecretsCommand({ Filters: [{ Key: 'name', Values: [`${bed.environment}/`] }], MaxResults: 100 }),
  );
  for (const { Name } of SecretList) {
    const ForceDeleteWithoutRecovery = Name?.includes('api-key');
    await bed.secretsManager.send(new DeleteSecretCommand({ SecretId: Name, ForceDeleteWithoutRecovery }));
  }
}

const outcomes = async (dryRun: boolean) => {
  const { secrets } = await restore(bed, { dryRun });
  return new Map(secrets.map((secret) => [secret.secret, secret]));
};

test('secrets that were lost in their grace period are refused, with the command that ends the rotation', async () => {
  for (const dryRun of [true, false]) {
    const found = await outcomes(dryRun);
    for (const { secret, kind } of subjects) {
      const id = rotationWorkflowId(bed.environment, secret);
      expect(found.get(secret)).toMatchObject({
        difference: kind === 'api-key' ? 'missing' : 'scheduled-for-deletion',
        outcome: 'refused',
        message: expect.stringContaining(
          `temporal workflow terminate --workflow-id ${id}, then restore again`,
        ) as string,
      });
    }
  }
});

test('when those are ended, they are restored, and their applications log in', async () => {
  for (const { secret } of subjects) {
    await bed.client.workflow.getHandle(rotationWorkflowId(bed.environment, secret)).terminate();
  }
  const found = await outcomes(false);
  for (const { secret, opens } of subjects) {
    expect(found.get(secret)).toMatchObject({ outcome: 'restored' });
    expect(await opens()).toBe(true);
  }
});

test('they can be rotated afterwards, an API key when the one that nobody knows any more is deleted', async () => {
  for (const { secret, opens, service } of subjects) {
    const { keyId } = JSON.parse(await bed.secrets.value(secret)) as KeyDocument;
    for (const { id } of service?.keys() ?? []) if (id !== keyId) service?.remove(id);
    expect(await bed.rotate(secret, { gracePeriod: '1 s' })).toMatchObject({ outcome: 'rotated' });
    expect(await opens()).toBe(true);
  }
});
