import { backupFailure } from '../src/activities/backup/aws-errors';
import { Cause } from '../src/rotation/errors';

const answered = (name: string, httpStatusCode: number) =>
  backupFailure(
    Object.assign(new Error('in the words of AWS'), { name, $metadata: { httpStatusCode } }),
    's3:PutObject',
    's3://bucket/key',
    Cause.BackupMissing,
  );

test.each([
  ['ConditionalRequestConflict', 409],
  ['OperationAborted', 409],
  ['RequestTimeout', 400],
  ['ExpiredToken', 400],
  ['InternalError', 500],
])('what passes, such as %s (%d), is tried again', (name, status) => {
  expect(answered(name, status)).toMatchObject({ type: Cause.TargetUnavailable, nonRetryable: false });
});

test.each([
  ['InvalidRequest', 400],
  ['InvalidBucketState', 409],
])('an answer that would be the same again, such as %s (%d), is final', (name, status) => {
  expect(answered(name, status)).toMatchObject({ type: Cause.BackupMissing, nonRetryable: true });
});
