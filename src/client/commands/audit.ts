import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { AuditFilter, AuditLog, AuditRecord, AuditVerification } from '../../activities/audit/audit-log';
import { createPostgresAuditLog } from '../../activities/audit/postgres-audit-log';
import { OperatorError, UsageError } from '../errors';
import { ExitCode } from '../exit-codes';
import { readConfig } from '../session';
import type { Answer, Shell } from '../shell';
import { table } from '../table';
import { readPastTime } from '../times';
import type { Register, Run } from './registration';

interface ListOptions {
  secret?: string;
  environment?: string;
  workflow?: string;
  who?: string;
  since?: Date;
  limit?: number;
}

export const registerAudit: Register = (program, run) => {
  const audit = program
    .command('audit')
    .summary('read and verify the audit log')
    .description('Reads and verifies the audit log.');
  registerList(audit, run);
  registerVerify(audit, run);
};

function registerList(audit: Command, run: Run): void {
  audit
    .command('list')
    .summary('the newest records')
    .description('Lists records, newest last. All filters that are given must match.')
    .option('--secret <secret>', '<environment>/<name>')
    .option('--environment <environment>', 'all secrets of an environment')
    .option('--workflow <id>', 'workflow ID, such as rotation/dev/database/app')
    .option('--who <name>', 'who asked for it')
    .option('--since <time>', "an ISO 8601 time, or how long ago, such as '2 days'", readPastTime)
    .option('--limit <n>', 'at most so many, the newest (default 100)', readLimit)
    .action(({ secret, workflow, ...filter }: ListOptions) =>
      run((shell) => list(shell, { ...filter, secretId: secret, workflowId: workflow })),
    );
}

function registerVerify(audit: Command, run: Run): void {
  audit
    .command('verify')
    .summary('find gaps and changes')
    .description('Recomputes the hash chain and says where a record is missing or was changed (exit code 1).')
    .option('--expect <seq:hash>', 'an earlier head, noted elsewhere, that must still be part of the chain', readHead)
    .action(({ expect }: { expect?: string }) => run((shell) => verify(shell, expect)));
}

async function list(shell: Shell, filter: AuditFilter): Promise<Answer> {
  const records = await withAuditLog(shell, (log) => log.list(filter));
  return { result: { records }, text: records.length > 0 ? recordTable(records) : 'No record matches.' };
}

async function verify(shell: Shell, expectedHead: string | undefined): Promise<Answer> {
  const verification = await withAuditLog(shell, (log) => log.verify({ expectedHead }));
  const text = verificationText(verification);
  if (verification.ok) return { result: verification, text };
  return {
    result: verification,
    text,
    problem: new OperatorError(
      'AuditLogAltered',
      'The audit log is not as it was written. Keep the database as it is, and compare it with a backup.',
      ExitCode.Failed,
      verification,
    ),
  };
}

async function withAuditLog<T>(shell: Shell, read: (log: AuditLog) => Promise<T>): Promise<T> {
  const { auditDatabaseUrl } = readConfig(shell.env);
  if (!auditDatabaseUrl) {
    throw new UsageError(
      'KEYTURN_AUDIT_DATABASE_URL is not set: it names the audit database, with a login that is a member of keyturn_audit_reader.',
    );
  }
  const log = createPostgresAuditLog(auditDatabaseUrl);
  try {
    return await read(log);
  } finally {
    await log.close();
  }
}

function recordTable(records: AuditRecord[]): string {
  return table([
    ['SEQ', 'AT', 'WHO', 'WHAT', 'SECRET', 'VERSION', 'OUTCOME'],
    ...records.map(({ seq, at, entry }) => [
      String(seq),
      at,
      entry.who,
      entry.what,
      entry.secretId ?? '-',
      entry.versionId ?? '-',
      entry.failure ? `${entry.outcome}: ${entry.failure.type}` : entry.outcome,
    ]),
  ]);
}

function verificationText({ ok, records, head, problems }: AuditVerification): string {
  if (!ok) return problems.map(({ seq, what }) => `record ${seq} ${what}`).join('\n');
  const count = records === 1 ? '1 record' : `${records} records`;
  const end = head ? `\nNote the head elsewhere and give it to --expect next time: ${head.seq}:${head.hash}` : '';
  return `The chain is whole: ${count}.${end}`;
}

function readLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1) throw new InvalidArgumentError('Expected a whole number above 0.');
  return limit;
}

function readHead(text: string): string {
  if (!/^\d{1,15}:[0-9a-f]{64}$/i.test(text)) {
    throw new InvalidArgumentError('Expected seq:hash with 64 hex digits, as keyturn audit verify prints it.');
  }
  return text;
}
