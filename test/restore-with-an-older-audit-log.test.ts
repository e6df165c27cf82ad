import { backUp, createBackupPlace, restore } from './testbed/backups';
import type { BackupPlace } from './testbed/backups';
import { createOwnAuditDatabase } from './testbed/own-audit-database';
import type { OwnAuditDatabase } from './testbed/own-audit-database';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let place: BackupPlace;
let audit: OwnAuditDatabase;

beforeAll(async () => {
  place = await createBackupPlace();
  bed = await openTestbed(place.policy);
  audit = await createOwnAuditDatabase(bed);
  await bed.startWorker({ KEYTURN_AUDIT_DATABASE_URL: await audit.urlOfLogin('keyturn_audit_writer') });
  await bed.declare({ key: { type: 'app-secret' } });
  await bed.rotate('key');
  await backUp(bed);
}, 120_000);
afterAll(async () => {
  await audit.drop();
  await bed.close();
  place.close();
});

async function restored() {
  const { outcome, secrets } = await restore(bed);
  return { outcome, unused: secrets.find(({ secret }) => secret === 'unused') };
}

test('a worker that may append and not read learns of a secret that it was never created', async () => {
  expect(await restored()).toMatchObject({
    outcome: 'restored',
    unused: { outcome: 'left-out', neverCreated: true },
  });
});

test.each([
  ['may not ask', 'REVOKE EXECUTE ON FUNCTION keyturn_audit.has_existed(text) FROM keyturn_audit_writer'],
  ['cannot ask, as after an upgrade without audit.sql', 'DROP FUNCTION keyturn_audit.has_existed(text)'],
])('where the worker %s, the restore ends, and counts such a secret as lost', async (_what, statement) => {
  await audit.asSuperuser(statement);
  expect(await restored()).toMatchObject({ outcome: 'incomplete', unused: { outcome: 'left-out', lost: true } });
});
