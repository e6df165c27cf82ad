import { DeleteSecretCommand } from '@aws-sdk/client-secrets-manager';
import { backUp, createBackupPlace, restore, startBackup, startRestore } from './testbed/backups';
import type { BackupPlace } from './testbed/backups';
import { createSubject, DRAWN_KINDS } from './testbed/subjects';
import type { Subject } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let place: BackupPlace;
let subjects: Subject[];
beforeAll(async () => {
  place = await createBackupPlace();
  bed = await openTestbed(place.policy);
  subjects = await Promise.all(DRAWN_KINDS.map((kind) => createSubject(bed, kind, `survives/${kind}`)));
  await bed.secrets.create('unused', 'so-that-a-restore-lacks-nothing');
});
afterAll(async () => {
  await bed.close();
  place.close();
});

test.each(['before', 'after'] as const)(
  'a worker killed %s a backup leaves one whole backup',
  async (when) => {
    const before = (await place.objects()).length;
    const worker = await bed.startWorker();
    const point = { secretId: `${bed.environment}/*`, step: 'backUp', when };
    await bed.pauses.stopAt(point);
    const handle = await startBackup(bed);
    await bed.pauses.reached(point);
    await worker.kill('SIGKILL');
    await bed.pauses.goOn(point);
    const next = await bed.startWorker();
    const { url } = await handle.result();
    expect(await place.objects()).toHaveLength(before + 1);
    expect(await restore(bed, { from: url, dryRun: true })).toMatchObject({
      from: expect.stringContaining(`${url}?versionId=`) as string,
    });
    await next.stop();
  },
  120_000,
);

test.each([
  ['app-secret', 'stageBackup', 'after'],
  ['single-user', 'giveRestoredPassword', 'before'],
  ['single-user', 'giveRestoredPassword', 'after'],
  ['alternating-users', 'giveRestoredPassword', 'after'],
  ['alternating-users', 'promote', 'after'],
] as const)(
  'a worker killed while it restores a secret of type %s, at %s (%s), ends with all restored',
  async (kind, step, when) => {
    const worker = await bed.startWorker();
    await backUp(bed);
    const values = new Map<string, string>();
    for (const { secret } of subjects) values.set(secret, await bed.secrets.value(secret));
    for (const { secret } of subjects) await bed.rotate(secret);
    const lost = subjects.find((subject) => subject.kind === 'app-secret')?.secret ?? '';
    await bed.secretsManager.send(new DeleteSecretCommand({ SecretId: bed.secrets.idOf(lost) }));
    if (kind === 'alternating-users') await bed.rotate(`survives/${kind}`);

    const point = { secretId: bed.secrets.idOf(`survives/${kind}`), step, when };
    await bed.pauses.stopAt(point);
    const handle = await startRestore(bed);
    await bed.pauses.reached(point);
    await worker.kill('SIGKILL');
    await bed.pauses.goOn(point);
    const next = await bed.startWorker();
    expect(await handle.result()).toMatchObject({ outcome: 'restored' });
    for (const { secret, opens } of subjects) {
      expect(await bed.secrets.value(secret)).toBe(values.get(secret));
      expect(await opens()).toBe(true);
      expect((await bed.secrets.labels(secret)).pending).toBeUndefined();
    }
    await next.stop();
  },
  120_000,
);
