import { escapeIdentifier } from 'pg';
import { awsErrorResponse, startFaultProxy } from './lab/fault-proxy';
import type { FaultProxy } from './lab/fault-proxy';
import { awsRequest } from './testbed/aws-wire';
import { createSubject } from './testbed/subjects';
import type { Kind, Subject } from './testbed/subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let aws: FaultProxy;

beforeAll(async () => {
  aws = await startFaultProxy(Number(new URL(process.env['AWS_ENDPOINT_URL'] ?? '').port));
  bed = await openTestbed({ rollbackTimeout: '8 seconds' });
  await bed.startWorker({ AWS_ENDPOINT_URL: `http://127.0.0.1:${aws.port}` });
});
afterAll(() => bed.close());
afterAll(async () => {
  await aws.stop();
});

/** Takes a permission on one secret from the worker. @returns what gives it back. */
function deny(operation: string, secret: string, times = Infinity): () => void {
  let denied = true;
  aws.answerWith(
    (bytes) => {
      const request = awsRequest(bytes);
      const id = request.body['SecretId'] ?? request.body['Name'];
      return denied && request.operation === operation && id === bed.secrets.idOf(secret);
    },
    awsErrorResponse('AccessDeniedException', 'User is not authorized to perform this'),
    times,
  );
  return () => {
    denied = false;
  };
}

/** What is true once a rotation has ended without a trace. */
async function expectUntouched({ secret, opens }: Subject, labels: unknown): Promise<void> {
  expect(await bed.secrets.labels(secret)).toEqual(labels);
  expect(await opens()).toBe(true);
}

const REFUSED: { kind: Kind; operation: string }[] = [
  { kind: 'app-secret', operation: 'DescribeSecret' },
  { kind: 'single-user', operation: 'DescribeSecret' },
  { kind: 'single-user', operation: 'GetSecretValue' },
  { kind: 'alternating-users', operation: 'GetSecretValue' },
];
test.each(REFUSED)(
  '$kind without $operation is refused, by the name of the permission',
  async ({ kind, operation }) => {
    const subject = await createSubject(bed, kind, `refused/${operation.slice(0, 3)}-${kind}`);
    const labels = await bed.secrets.labels(subject.secret);
    deny(operation, subject.secret);
    const { type, message } = await failureOf(bed.rotate(subject.secret));
    expect(type).toBe('RotationRefused');
    expect(message).toContain(`may not call secretsmanager:${operation} on ${bed.secrets.idOf(subject.secret)}`);
    expect(message).toContain("Grant it to the worker's IAM role");
    await expectUntouched(subject, labels);
  },
);

const ROLLED_BACK: { kind: Kind; operation: string }[] = [
  { kind: 'app-secret', operation: 'PutSecretValue' },
  { kind: 'single-user', operation: 'PutSecretValue' },
  { kind: 'alternating-users', operation: 'PutSecretValue' },
  { kind: 'app-secret', operation: 'UpdateSecretVersionStage' },
  { kind: 'single-user', operation: 'UpdateSecretVersionStage' },
  { kind: 'alternating-users', operation: 'UpdateSecretVersionStage' },
];
test.each(ROLLED_BACK)(
  '$kind that is denied $operation is rolled back, by the name of the permission',
  async (denied) => {
    const { kind, operation } = denied;
    const subject = await createSubject(bed, kind, `denied/${operation.slice(0, 3)}-${kind}`);
    const labels = await bed.secrets.labels(subject.secret);
    deny(operation, subject.secret, 1);
    const { type, message } = await failureOf(bed.rotate(subject.secret));
    expect(type).toBe('RotationRolledBack');
    expect(message).toContain(`may not call secretsmanager:${operation} on ${bed.secrets.idOf(subject.secret)}`);
    await expectUntouched(subject, labels);
  },
);

test('a secret that may not be created is not there afterwards', async () => {
  await bed.declare({ missing: { type: 'app-secret' } });
  deny('CreateSecret', 'missing');
  const { type, message } = await failureOf(bed.rotate('missing'));
  expect(type).toBe('RotationRolledBack');
  expect(message).toContain(`may not call secretsmanager:CreateSecret on ${bed.secrets.idOf('missing')}`);
  await expect(bed.secrets.labels('missing')).rejects.toThrow("can't find the specified secret");
});

test('where the labels may not be moved at all, what is left to do is named and the next rotation does it', async () => {
  const { secret, opens } = await createSubject(bed, 'single-user', 'no-labels');
  const { current } = await bed.secrets.labels(secret);
  const allow = deny('UpdateSecretVersionStage', secret);
  const { type, message, details } = await failureOf(bed.rotate(secret));
  expect(type).toBe('RollbackIncomplete');
  expect(message).toContain('may not call secretsmanager:UpdateSecretVersionStage');
  expect(details).toMatchObject({ step: 'promote', leftToDo: [{ step: 'promote' }] });
  expect(await bed.secrets.labels(secret)).toMatchObject({ current });
  expect(await opens()).toBe(true);

  allow();
  const { versions } = await bed.rotate(secret);
  expect(await bed.secrets.labels(secret)).toEqual({ current: versions.current, previous: current });
  expect(await opens()).toBe(true);
});

test('an administrator that may not create logins is named with what it lacks, and everything is as before', async () => {
  const subject = await createSubject(bed, 'alternating-users', 'no-createrole');
  const labels = await bed.secrets.labels(subject.secret);
  const { username: admin } = JSON.parse(await bed.secrets.value('no-createrole-admin')) as { username: string };
  await bed.databases.asSuperuser(`ALTER ROLE ${escapeIdentifier(admin)} NOCREATEROLE`);
  const { type, message } = await failureOf(bed.rotate(subject.secret));
  expect(type).toBe('RotationRolledBack');
  expect(message).toContain(`does not let "${admin}" create the second login`);
  expect(message).toContain('CREATEROLE');
  await expectUntouched(subject, labels);
});

test('a login that may not enter its database is refused before anything is changed', async () => {
  const subject = await createSubject(bed, 'single-user', 'no-connect');
  const [login = ''] = subject.logins;
  await bed.databases.asSuperuser(
    `REVOKE CONNECT ON DATABASE ${escapeIdentifier(login)} FROM PUBLIC, ${escapeIdentifier(login)}`,
  );
  const { type, message } = await failureOf(bed.rotate(subject.secret));
  expect(type).toBe('RotationRefused');
  expect(message).toContain(`lets "${login}" in, but not into the database "${login}". Grant it CONNECT`);
});
