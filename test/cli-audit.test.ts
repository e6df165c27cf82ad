import type { AuditRecord, AuditVerification } from '../src/activities/audit/audit-log';
import type { RotationResult } from '../src/rotation/types';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { createOwnAuditDatabase } from './testbed/own-audit-database';
import type { OwnAuditDatabase } from './testbed/own-audit-database';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let audit: OwnAuditDatabase;
let cli: Cli;
/** What the commands of an auditor get; the worker's login may append as well. */
let asAuditor: { KEYTURN_AUDIT_DATABASE_URL: string };
let rotated: RotationResult;

beforeAll(async () => {
  bed = await openTestbed();
  audit = await createOwnAuditDatabase(bed);
  cli = createCli(bed);
  asAuditor = { KEYTURN_AUDIT_DATABASE_URL: await audit.urlOfLogin('keyturn_audit_reader') };
  await bed.startWorker({ KEYTURN_AUDIT_DATABASE_URL: await audit.urlOfLogin('keyturn_audit_writer') });
  await bed.databases.singleUser('app');
  await bed.declare({ jwt: { type: 'app-secret' }, other: { type: 'app-secret' } });
  for (const secret of ['jwt', 'other']) await bed.secrets.create(secret, `first-value-of-${secret}`);
  rotated = await bed.rotate('app', { requestedBy: 'ann', reason: 'it leaked' });
  await bed.rotate('jwt', { requestedBy: 'bob' });
});
afterAll(async () => {
  await cli.stop();
  await audit.drop();
  await bed.close();
});

const id = (secret: string) => bed.secrets.idOf(secret);

async function recordsOf(...argv: string[]): Promise<AuditRecord[]> {
  const { code, result } = await cli.json<{ records: AuditRecord[] }>(['audit', 'list', ...argv], asAuditor);
  expect(code).toBe(0);
  return result.records;
}

const verify = (...argv: string[]) => cli.run(['audit', 'verify', ...argv], asAuditor);

describe('keyturn audit list', () => {
  test('shows who did what, when, with which version, and how it ended, newest last', async () => {
    const { code, stdout, stderr } = await cli.run(['audit', 'list', '--secret', id('app')], asAuditor);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [header, ...lines] = stdout.trimEnd().split('\n');
    expect(header?.split(/ +/)).toEqual(['SEQ', 'AT', 'WHO', 'WHAT', 'SECRET', 'VERSION', 'OUTCOME']);
    for (const line of lines) expect(line).toMatch(/^\d+ +\d{4}-\S+Z +ann +\w+ +\S+\/app +\S+ +(started|succeeded)$/);
    const seqs = lines.map((line) => Number.parseInt(line, 10));
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    for (const what of ['confirmCurrentLogin', 'createCandidate', 'setPassword', 'recordOutcome']) {
      expect(stdout).toMatch(new RegExp(` ${what} .* succeeded$`, 'm'));
    }
    expect(stdout).toMatch(new RegExp(` setPassword +\\S+/app +${rotated.versions.current} +succeeded$`, 'm'));
  });

  test('takes filters, and all that are given must match', async () => {
    const all = await recordsOf('--environment', bed.environment);
    expect(new Set(all.map(({ entry }) => entry.secretId))).toEqual(new Set([id('app'), id('jwt')]));
    const bobs = await recordsOf('--who', 'bob');
    expect(new Set(bobs.map(({ entry }) => entry.secretId))).toEqual(new Set([id('jwt')]));
    expect(await recordsOf('--who', 'bob', '--secret', id('app'))).toEqual([]);
    const ofWorkflow = await recordsOf('--workflow', `rotation/${id('jwt')}`);
    expect(ofWorkflow).toEqual(bobs);
    expect(await recordsOf('--since', '1 hour')).toEqual(all);
    expect(await recordsOf('--since', new Date(Date.now() + 60_000).toISOString())).toEqual([]);
    expect(await recordsOf('--limit', '3')).toEqual(all.slice(-3));
    const nothing = await cli.run(['audit', 'list', '--environment', 'nowhere'], asAuditor);
    expect(nothing).toMatchObject({ code: 0, stdout: 'No record matches.\n' });
  });

  test('shows what operators asked of a rotation, with their reason, also what was refused', async () => {
    const point = { secretId: id('other'), step: 'promote', when: 'before' } as const;
    await bed.pauses.stopAt(point);
    const handle = await bed.start('other');
    await bed.pauses.reached(point);
    await handle.signal('endGracePeriod', { requestedBy: 'cleo' });
    const asDora = { KEYTURN_REQUESTED_BY: 'dora' };
    expect(await cli.run(['abort', id('other'), '--reason', 'a mistake'], asDora)).toMatchObject({ code: 0 });
    await bed.pauses.goOn(point);
    await handle.result();
    const acts = [...(await recordsOf('--who', 'cleo')), ...(await recordsOf('--who', 'dora'))];
    expect(acts.map(({ entry: { what, outcome, secretId, reason } }) => [what, outcome, secretId, reason])).toEqual([
      ['endGracePeriod', 'refused', id('other'), undefined],
      ['abort', 'accepted', id('other'), 'a mistake'],
    ]);
  });

  test('with a login that may not read says so without its password, and ends with 1', async () => {
    const url = await audit.urlOfLogin('keyturn_audit_writer');
    const ended = await cli.run(['audit', 'list'], { KEYTURN_AUDIT_DATABASE_URL: url });
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toMatch(/permission denied/);
    expect(ended.stderr).not.toContain(new URL(url).password);
  });
});

describe('keyturn audit verify', () => {
  const changed = /^Error: The audit log is not as it was written\. Keep the database as it is/m;
  let head: string;

  /** Damages the log as somebody with all rights could. */
  const damage = (statement: string) =>
    audit.asSuperuser(
      `ALTER TABLE keyturn_audit.record DISABLE TRIGGER append_only; ${statement};
       ALTER TABLE keyturn_audit.record ENABLE ALWAYS TRIGGER append_only`,
    );

  test('finds an unchanged chain whole, and names its head to be noted elsewhere', async () => {
    const { code, stdout } = await verify();
    expect(code).toBe(0);
    const [, records, seq, hash] =
      /^The chain is whole: (\d+) records\.\nNote the head .*: (\d+):([0-9a-f]{64})\n$/.exec(stdout) ?? [];
    expect(records).toBe(seq);
    head = `${seq}:${hash}`;
    const { result } = await cli.json<AuditVerification>(['audit', 'verify', '--expect', head], asAuditor);
    expect(result).toEqual({ ok: true, records: Number(seq), head: { seq: Number(seq), hash }, problems: [] });
  });

  test('finds with --expect that another head was noted', async () => {
    const { code, stdout, stderr } = await verify('--expect', `3:${'0'.repeat(64)}`);
    expect({ code, stdout }).toEqual({
      code: 1,
      stdout: expect.stringMatching(/^record 3 is missing, or not the rec/),
    });
    expect(stderr).toMatch(changed);
  });

  test('finds a record that somebody with all rights has changed, and ends with 1', async () => {
    const alter = (from: string, to: string) =>
      damage(`UPDATE keyturn_audit.record SET entry = replace(entry::text, '${from}', '${to}')::json WHERE seq = 5`);
    await alter('"who":"ann"', '"who":"eve"');
    const { code, stdout, stderr } = await verify();
    expect({ code, stdout }).toEqual({
      code: 1,
      stdout: 'record 5 was changed: its content does not give its hash\n',
    });
    expect(stderr).toMatch(changed);
    const forPrograms = await cli.json(['audit', 'verify'], asAuditor);
    expect(forPrograms).toMatchObject({
      code: 1,
      ok: false,
      error: { type: 'AuditLogAltered', details: { ok: false, problems: [{ seq: 5 }] } },
    });
    await alter('"who":"eve"', '"who":"ann"');
    expect(await verify('--expect', head)).toMatchObject({ code: 0 });
  });

  test('finds a record that was taken out of the middle, and an end that was cut off', async () => {
    await damage('DELETE FROM keyturn_audit.record WHERE seq = 7');
    expect(await verify()).toMatchObject({ code: 1, stdout: 'record 7 is missing\n' });
    const [seq] = head.split(':');
    await damage(`DELETE FROM keyturn_audit.record WHERE seq = ${seq}`);
    expect(await verify()).toMatchObject({
      code: 1,
      stdout: `record 7 is missing\nrecord ${seq} is missing: the end was cut off\n`,
    });
  });

  test('says that a login that is no reader cannot verify, and ends with 1', async () => {
    const url = await audit.urlOfLogin();
    const ended = await cli.run(['audit', 'verify'], { KEYTURN_AUDIT_DATABASE_URL: url });
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).not.toContain(new URL(url).password);
  });
});
