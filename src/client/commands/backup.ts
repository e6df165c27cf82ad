import { S3Client } from '@aws-sdk/client-s3';
import { ApplicationFailure } from '@temporalio/common';
import { createBackupBucket } from '../../activities/backup/bucket';
import { backupPrefix, backupUrl, timeOfObjectKey } from '../../rotation/backup';
import type { BackupResult } from '../../rotation/backup';
import { s3ClientOptions } from '../../runtime/aws-client-options';
import { backupProgress } from '../backup-progress';
import { OperatorError, UsageError } from '../errors';
import { ExitCode } from '../exit-codes';
import { untilInterrupted } from '../interrupt';
import { operatorName } from '../operator';
import { openCatalog, readConfig, withBackups } from '../session';
import type { Answer, Shell } from '../shell';
import { table } from '../table';
import type { Register } from './registration';

interface BackupOptions {
  list?: boolean;
  secret?: string;
  reason?: string;
}

export const registerBackup: Register = (program, run) => {
  program
    .command('backup')
    .summary("back up an environment's secrets, or list its backups")
    .description(
      'Encrypts the values of an environment’s secrets and stores them in the bucket that the catalog names. ' +
        'Ctrl-C stops waiting and leaves the backup running (exit code 130).',
    )
    .argument('<environment>', 'such as production')
    .option('--list', 'list the backups that there are, newest last')
    .option('--secret <name>', 'with --list: the backups of one secret that were taken before its rotations')
    .option('--reason <text>', 'why, for the audit trail')
    .action((environment: string, options: BackupOptions) => run((shell) => backup(shell, environment, options)));
};

async function backup(shell: Shell, environment: string, options: BackupOptions): Promise<Answer> {
  const config = readConfig(shell.env);
  const plan = (await openCatalog(config)).backup(environment);
  if (!plan) {
    throw new UsageError(
      `The catalog does not say where backups of ${environment} go. Nothing was done. Say so: environments.${environment}.backup with bucket and kmsKey.`,
      'BackupNotConfigured',
    );
  }
  if (options.list) return list(shell, environment, plan.bucket, options.secret);
  if (options.secret !== undefined) throw new UsageError('--secret goes with --list; a backup holds all secrets.');
  const input = { environment, reason: options.reason, requestedBy: operatorName(shell.env) };
  const taken = await withBackups(config, (backups) =>
    untilInterrupted((signal) => backups.backUp(input, backupProgress(shell), signal)),
  );
  const text = takenText(taken);
  const lacking = taken.leftOut.filter(({ expected }) => expected);
  if (lacking.length === 0) return { result: taken, text };
  return {
    result: taken,
    text,
    problem: new OperatorError(
      'BackupIncomplete',
      `The backup is stored, but ${lacking.length} secret${lacking.length === 1 ? '' : 's'} that it should hold ${lacking.length === 1 ? 'is' : 'are'} not in it. Correct what is said of ${lacking.length === 1 ? 'it' : 'them'}, and back up again; an earlier backup may hold ${lacking.length === 1 ? 'it' : 'them'}.`,
      ExitCode.Failed,
      taken,
    ),
  };
}

function takenText({ environment, url, time, secrets, leftOut, warnings }: BackupResult): string {
  return [
    `${secrets} secret${secrets === 1 ? '' : 's'} of ${environment} backed up to ${url}.`,
    ...leftOut.map(({ secret, why, expected }) => `${expected ? 'Warning: left' : 'Left'} out: ${secret} ${why}.`),
    ...warnings.map((warning) => `Warning: ${warning}`),
    `See what restoring it would do: keyturn restore ${environment} --from ${time} --dry-run`,
  ].join('\n');
}

async function list(shell: Shell, environment: string, bucket: string, secret?: string): Promise<Answer> {
  const s3 = new S3Client(s3ClientOptions(shell.env));
  try {
    const stored = await createBackupBucket(s3).list(bucket, backupPrefix(environment, secret));
    const backups = stored.flatMap(({ key, bytes }) => {
      const time = timeOfObjectKey(key);
      return time === undefined ? [] : [{ time, bytes, url: backupUrl({ bucket, key }) }];
    });
    const rows = backups.map(({ time, bytes, url }) => [time, String(bytes), url]);
    const none = `There is no backup of ${environment}${secret === undefined ? '' : `/${secret}`} in s3://${bucket}.`;
    return {
      result: { environment, backups },
      text: rows.length > 0 ? table([['TIME', 'BYTES', 'URL'], ...rows]) : none,
    };
  } catch (error) {
    if (!(error instanceof ApplicationFailure)) throw error;
    throw new OperatorError(error.type ?? 'Unexpected', error.message, ExitCode.Failed);
  } finally {
    s3.destroy();
  }
}
