import { Client as PgClient } from 'pg';
import { createPostgresAuditLog } from '../src/activities/audit/postgres-audit-log';
import type { AuditEntry } from '../src/activities/audit/audit-log';
import type { RequestAccepted, RotationResult } from '../src/rotation/types';
import { createSubject } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { arrived, auditOf, inPhase } from './testbed/watching';

let bed: Testbed;
beforeAll(async () => {
  bed = await openTestbed();
  await bed.startWorker();
});
afterAll(() => bed.close());

/** A rotation that stands still in front of a step. */
async function rotationAt(secret: string, step: string) {
  await createSubject(bed, 'single-user', secret);
  const point = { secretId: bed.secrets.idOf(secret), step, when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const handle = await bed.start(secret, { requestedBy: 'ada', reason: 'quarterly' });
  await bed.pauses.reached(point);
  return { handle, goOn: () => bed.pauses.goOn(point) };
}

async function rotationInGracePeriod(secret: string) {
  await createSubject(bed, 'alternating-users', secret, { gracePeriod: '1 hour' });
  const handle = await bed.start(secret, { requestedBy: 'ada' });
  const { graceEndsAt = '' } = await inPhase(handle, 'grace-period');
  return { handle, endsAt: Date.parse(graceEndsAt) };
}

/** The records of operators' acts, as who did what with which answer. */
async function actsOn(secret: string): Promise<Pick<AuditEntry, 'who' | 'what' | 'outcome' | 'reason'>[]> {
  const entries = await auditOf(bed.secrets.idOf(secret));
  return entries
    .filter(({ activity }) => activity.type === 'recordOperatorActs')
    .map(({ who, what, outcome, reason }) => ({ who, what, outcome, ...(reason !== undefined && { reason }) }));
}

const NIGHT_SHIFT = { requestedBy: 'night shift', reason: 'wrong secret' };
const accepted = (what: string) => ({ who: 'night shift', what, outcome: 'accepted', reason: 'wrong secret' });

test('an abort by update is recorded with who and why, and so is what it came to', async () => {
  const { handle, goOn } = await rotationAt('update', 'promote');
  const answer = handle.executeUpdate<RequestAccepted, [object]>('abort', { args: [NIGHT_SHIFT] });
  await arrived(handle, 'update');
  await goOn();
  expect(await answer).toMatchObject({ accepted: expect.stringContaining('undone') as string });
  expect(await handle.result()).toMatchObject({ outcome: 'aborted' });
  expect(await actsOn('update')).toEqual([accepted('abort')]);
  const records = await auditOf(bed.secrets.idOf('update'));
  expect(records.find(({ what }) => what === 'recordOutcome')).toMatchObject({
    who: 'ada',
    input: { outcome: 'aborted' },
  });
  expect(records.find(({ what }) => what === 'abort')).toMatchObject({
    secretId: bed.secrets.idOf('update'),
    workflow: { runId: handle.firstExecutionRunId },
  });
});

test('an abort by signal is recorded with who and why', async () => {
  const { handle, goOn } = await rotationAt('signal', 'promote');
  await handle.signal('abort', NIGHT_SHIFT);
  await arrived(handle, 'signal');
  await goOn();
  expect(await handle.result()).toMatchObject({ outcome: 'aborted' });
  expect(await actsOn('signal')).toEqual([accepted('abort')]);
});

test('a second abort is recorded too, and one without a name as of nobody that is known', async () => {
  const { handle, goOn } = await rotationAt('twice', 'promote');
  await handle.signal('abort', NIGHT_SHIFT);
  await handle.signal('abort');
  await goOn();
  await handle.result();
  expect(await actsOn('twice')).toEqual([accepted('abort'), { who: 'unknown', what: 'abort', outcome: 'accepted' }]);
});

test('a cancellation, which carries no name, is recorded as what it came to', async () => {
  const { handle, goOn } = await rotationAt('cancelled', 'promote');
  await handle.cancel();
  await goOn();
  expect(await handle.result()).toMatchObject({ outcome: 'aborted' });
  const last = (await auditOf(bed.secrets.idOf('cancelled'))).at(-1);
  expect(last).toMatchObject({ what: 'recordOutcome', outcome: 'succeeded', input: { outcome: 'aborted' } });
});

test('extending and ending a grace period are recorded, by signal and by update', async () => {
  const { handle, endsAt } = await rotationInGracePeriod('grace');
  await handle.signal('extendGracePeriod', { by: '1 hour', ...NIGHT_SHIFT });
  const until = new Date(endsAt + 2 * 86_400_000).toISOString();
  const { graceEndsAt } = await handle.executeUpdate<RequestAccepted, [object]>('extendGracePeriod', {
    args: [{ until, ...NIGHT_SHIFT }],
  });
  expect(graceEndsAt).toBe(until);
  await handle.executeUpdate('endGracePeriod', { args: [NIGHT_SHIFT] });
  expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
  expect(await actsOn('grace')).toEqual(['extendGracePeriod', 'extendGracePeriod', 'endGracePeriod'].map(accepted));
});

test('what is refused by signal is recorded with who asked and why it was not done', async () => {
  const { handle, goOn } = await rotationAt('refused', 'promote');
  await handle.signal('extendGracePeriod', { by: '1 day', ...NIGHT_SHIFT });
  await handle.signal('endGracePeriod', NIGHT_SHIFT);
  await handle.signal('abort', { requestedBy: 'x'.repeat(1_001) });
  await goOn();
  expect((await handle.result()) as RotationResult).toMatchObject({ outcome: 'rotated' });
  const refused = (await auditOf(bed.secrets.idOf('refused'))).filter(({ outcome }) => outcome === 'refused');
  expect(refused).toMatchObject([
    {
      ...accepted('extendGracePeriod'),
      outcome: 'refused',
      input: { refused: expect.stringContaining('not in its grace period') as string },
    },
    {
      ...accepted('endGracePeriod'),
      outcome: 'refused',
      input: { refused: expect.stringContaining('not in its grace period') as string },
    },
    { what: 'abort', outcome: 'refused', input: { refused: expect.stringContaining('requestedBy') as string } },
  ]);
});

test('an update that is refused changes nothing and never reaches the rotation, which has nothing to record', async () => {
  const { handle, goOn } = await rotationAt('rejected', 'promote');
  const update = handle.executeUpdate('extendGracePeriod', { args: [{ by: '1 day', ...NIGHT_SHIFT }] });
  await expect(update).rejects.toMatchObject({ cause: { type: 'NotInGracePeriod' } });
  await goOn();
  expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
  expect(await actsOn('rejected')).toEqual([]);
  const updates = (await handle.fetchHistory()).events?.filter(
    (event) => event.workflowExecutionUpdateAcceptedEventAttributes,
  );
  expect(updates).toEqual([]);
});

test.each([
  ['changes a record', `UPDATE keyturn_audit.record SET entry = '{}'`],
  ['removes one', 'DELETE FROM keyturn_audit.record'],
  ['removes all', 'TRUNCATE keyturn_audit.record'],
  ['writes one past the chain', `INSERT INTO keyturn_audit.record VALUES (1, now(), '', '', '{}')`],
  ['sets the end of the chain back', 'UPDATE keyturn_audit.head SET seq = 1'],
  ['turns the protection off', 'ALTER TABLE keyturn_audit.record DISABLE TRIGGER ALL'],
])("nobody with the worker's login %s", async (_what, statement) => {
  const client = new PgClient({ connectionString: bed.env['KEYTURN_AUDIT_DATABASE_URL'] });
  await client.connect();
  try {
    await expect(client.query(statement)).rejects.toMatchObject({ code: '42501' });
  } finally {
    await client.end();
  }
});

test('after all of this the chain of records is whole', async () => {
  const audit = createPostgresAuditLog(bed.env['KEYTURN_AUDIT_DATABASE_URL'] ?? '');
  try {
    expect(await audit.verify()).toMatchObject({ ok: true, problems: [] });
  } finally {
    await audit.close();
  }
});
