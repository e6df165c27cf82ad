import { createInterface } from 'node:readline/promises';
import type { RestoredSecret, RestoreInput, RestoreResult } from '../../rotation/backup';
import type { BackupClient } from '../backup-client';
import { backupProgress } from '../backup-progress';
import { OperatorError } from '../errors';
import { ExitCode } from '../exit-codes';
import { untilInterrupted } from '../interrupt';
import { operatorName } from '../operator';
import { readConfig, withBackups } from '../session';
import type { Answer, Shell } from '../shell';
import { note } from '../shell';
import { table } from '../table';
import type { Register } from './registration';

interface RestoreOptions {
  from: string;
  secret?: string[];
  dryRun?: boolean;
  yes?: boolean;
  kmsKey?: string;
  reason?: string;
}

export const registerRestore: Register = (program, run) => {
  program
    .command('restore')
    .summary("set an environment's secrets back to a backup")
    .description(
      'Shows how the secrets differ from a backup, asks, and sets them back, with what they open. ' +
        'A backup that is damaged or not of this environment is refused before anything changes (exit code 3). ' +
        'Where nobody can be asked it is refused without --yes.',
    )
    .argument('<environment>', 'such as production')
    .requiredOption('--from <backup>', 'latest, a time from keyturn backup --list, or s3://bucket/key')
    .option('--secret <name...>', 'only these secrets, by their names below the environment')
    .option('--dry-run', 'show what differs and what would be done, and touch nothing')
    .option('--yes', 'do not ask')
    .option('--kms-key <arn>', 'the key that the backup is under, where the alias has moved to another one since')
    .option('--reason <text>', 'why, for the audit trail')
    .action((environment: string, options: RestoreOptions) => run((shell) => restore(shell, environment, options)));
};

async function restore(shell: Shell, environment: string, options: RestoreOptions): Promise<Answer> {
  const { from, secret: secrets, kmsKey, reason, dryRun, yes } = options;
  const input: RestoreInput = { environment, from, secrets, kmsKey, reason, requestedBy: operatorName(shell.env) };
  return withBackups(readConfig(shell.env), async (backups) => {
    if (dryRun) {
      const result = await run(shell, backups, { ...input, dryRun });
      return { result, text: reportText(result) };
    }
    if (yes) return answerOf(await run(shell, backups, input));
    const planned = await run(shell, backups, { ...input, dryRun: true });
    if (!planned.secrets.some(({ outcome }) => outcome.startsWith('would-be-'))) return answerOf(planned);
    note(shell, reportText(planned));
    await confirm(shell, planned);
    // The very object that was shown, whatever was stored beside it or over it meanwhile.
    return answerOf(await run(shell, backups, { ...input, from: planned.from }));
  });
}

function run(shell: Shell, backups: BackupClient, input: RestoreInput): Promise<RestoreResult> {
  return untilInterrupted((signal) => backups.restore(input, backupProgress(shell), signal));
}

async function confirm(shell: Shell, planned: RestoreResult): Promise<void> {
  const refused = (why: string) =>
    new OperatorError('NotConfirmed', `${why} Nothing was changed.`, ExitCode.Refused, planned);
  if (shell.json || !process.stdin.isTTY) {
    throw refused('Restoring changes secrets and what they open, and nobody can be asked here: say so with --yes.');
  }
  const terminal = createInterface({ input: process.stdin, output: shell.stderr });
  try {
    const answered = await terminal.question(`Restore ${planned.environment} from ${planned.from}? [y/N] `);
    if (!/^y(es)?$/i.test(answered.trim())) throw refused('You did not say yes.');
  } finally {
    terminal.close();
  }
}

function answerOf(result: RestoreResult): Answer {
  const text = reportText(result);
  const left = result.secrets.filter(
    ({ outcome, lost }) => lost || ['refused', 'failed', 'not-delivered'].includes(outcome),
  );
  if (left.length === 0) return { result, text };
  return {
    result,
    text,
    problem: new OperatorError(
      'RestoreIncomplete',
      `${left.length} of ${result.secrets.length} secrets are not restored and delivered. Correct what is said of them, and restore again: those that are done are only delivered again.`,
      ExitCode.Failed,
      result,
    ),
  };
}

function reportText({ outcome, environment, from, secrets }: RestoreResult): string {
  const headline =
    outcome === 'dry-run'
      ? `Dry run, nothing was touched. ${environment} compared with ${from}:`
      : `${environment} restored from ${from}:`;
  return [headline, table([['SECRET', 'DIFFERENCE', 'OUTCOME'], ...secrets.map(rowOf)])].join('\n');
}

const DIFFERENCE: Record<RestoredSecret['difference'], string> = {
  same: 'same',
  differs: 'AWSCURRENT differs',
  missing: 'missing',
  'scheduled-for-deletion': 'scheduled for deletion',
  'no-current': 'has no AWSCURRENT',
  'target-differs': 'same, but its database refuses it',
  'target-unknown': 'same, but its database cannot be asked',
  unreadable: 'AWSCURRENT cannot be read',
  'not-declared': 'not in the catalog',
  'not-in-backup': 'not in the backup',
};

function rowOf({ secret, difference, outcome, message, lost, neverCreated }: RestoredSecret): string[] {
  return [
    secret,
    `${DIFFERENCE[difference]}${lost ? ', and missing' : neverCreated ? ', and never created' : ''}`,
    message ? `${outcome}: ${message}` : outcome,
  ];
}
