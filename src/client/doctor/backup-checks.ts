import type { BackupBucket } from '../../activities/backup/bucket';
import type { BackupEnvelope } from '../../activities/backup/envelope';
import { retentionWarnings } from '../../activities/backup/retention';
import type { EnvironmentBackup } from '../../catalog';
import { Cause } from '../../rotation/errors';
import type { Check } from './check';
import { check, ok, skipped, warning } from './check';

export interface BackupAccess {
  bucket: Pick<BackupBucket, 'refuseUnversioned' | 'lifecycleRules'>;
  envelope: Pick<BackupEnvelope, 'keyArnOf'>;
}

const UNREACHABLE = 'Check AWS_REGION, AWS_ENDPOINT_URL and the network between here and AWS.';

/** Whether an environment could be backed up: its bucket, how long that keeps things, and its key. Nothing is stored. */
export async function checkBackups(
  { bucket, envelope }: BackupAccess,
  environment: string,
  { bucket: bucketName, kmsKey, keepMs }: EnvironmentBackup,
): Promise<Check[]> {
  const names = {
    bucket: `backup bucket of ${environment}`,
    retention: `backup retention of ${environment}`,
    key: `backup key of ${environment}`,
  };
  const stored = await check(
    names.bucket,
    async () => {
      await bucket.refuseUnversioned(bucketName);
      return ok(names.bucket, `${bucketName} exists, with versioning`);
    },
    { [Cause.TargetUnavailable]: UNREACHABLE },
  );
  return [
    stored,
    stored.state === 'failed'
      ? skipped(names.retention, 'needs its bucket')
      : await check(names.retention, async () => {
          const rules = await bucket.lifecycleRules(bucketName);
          if (!rules) {
            return skipped(
              names.retention,
              'the lifecycle rules may not be read',
              'Grant s3:GetLifecycleConfiguration.',
            );
          }
          const [first, ...others] = retentionWarnings(environment, bucketName, keepMs, rules);
          return first === undefined
            ? ok(names.retention, `lifecycle rules of ${bucketName} keep backups as long as the catalog says`)
            : warning(names.retention, first, others.join('\n'));
        }),
    await check(names.key, async () => ok(names.key, `${kmsKey} is ${await envelope.keyArnOf(kmsKey)}`), {
      [Cause.TargetUnavailable]: UNREACHABLE,
    }),
    skipped(
      `storing backups of ${environment}`,
      'not tried: that would store one',
      'The worker needs the rights of WorkerPolicy in deploy/aws/backup-bucket.yaml.',
    ),
  ];
}
