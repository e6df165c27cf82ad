import { createPostgresAuditLog } from '../../activities/audit/postgres-audit-log';
import type { AgesReport, SecretAgeEntry } from '../../rotation/ages';
import { formatDuration, parseDuration } from '../../rotation/durations';
import { askForReport } from '../environment-report';
import { OperatorError, UsageError } from '../errors';
import { ExitCode } from '../exit-codes';
import { untilInterrupted } from '../interrupt';
import { rotatedBy } from '../last-rotations';
import { operatorName } from '../operator';
import { readConfig, withTemporal } from '../session';
import type { Answer, Shell } from '../shell';
import { note } from '../shell';
import { table } from '../table';
import type { Register } from './registration';

interface AgesOptions {
  limit?: string;
  start?: boolean;
  reason?: string;
}

export const registerAges: Register = (program, run) => {
  program
    .command('ages')
    .summary('how old the secrets of an environment are')
    .description(
      'Lists every secret whose name begins with the environment’s, oldest first, also those that the catalog does not declare. ' +
        'Exit code 1 when one is older than it may be. Reads no value, and tells nobody.',
    )
    .argument('<environment>', 'such as production')
    .option('--limit <duration>', "instead of the catalog's maxAge, such as '30 days'")
    .option('--start', 'rotate what is due by the catalog, as keyturn rotate --all --due does')
    .option('--reason <text>', 'why, for the audit trail')
    .action((environment: string, options: AgesOptions) => run((shell) => ages(shell, environment, options)));
};

async function ages(shell: Shell, environment: string, { limit, start, reason }: AgesOptions): Promise<Answer> {
  if (limit !== undefined && !parseDuration(limit)) {
    throw new UsageError(`--limit '${limit}' is not a duration; write for example '30 days'. Nothing was done.`);
  }
  const config = readConfig(shell.env);
  const input = { environment, limit, start, tell: false, reason, requestedBy: operatorName(shell.env) };
  const summary = `How old the secrets of ${environment} are`;
  const asking = { workflowType: 'checkSecretAges', prefix: 'ages', input, summary };
  const report = await withTemporal(config, (client) =>
    untilInterrupted((signal) => askForReport<AgesReport>(client, config.taskQueue, asking, signal)),
  );
  const by = await whoRotated(shell, config.auditDatabaseUrl, environment);
  const secrets = report.secrets.map((secret) => ({ ...secret, rotatedBy: by.get(secret.version ?? '') }));
  const result = { ...report, secrets };
  const text = reportText(report, secrets);
  if (report.overdue === 0) return { result, text };
  const what = report.overdue === 1 ? '1 secret is' : `${report.overdue} secrets are`;
  const message = `${what} overdue. Rotate what the catalog declares: keyturn rotate ${environment} --all --due`;
  return { result, text, problem: new OperatorError('Overdue', message, ExitCode.Failed, result) };
}

/** Only known where this shell may read the audit log; the ages are worth showing without it. */
async function whoRotated(
  shell: Shell,
  url: string | undefined,
  environment: string,
): Promise<ReadonlyMap<string, string>> {
  if (url === undefined) return new Map();
  const log = createPostgresAuditLog(url);
  try {
    return await rotatedBy(log, environment);
  } catch (error) {
    note(shell, `Who rotated them is not known: ${error instanceof Error ? error.message : 'no reason given'}`);
    return new Map();
  } finally {
    await log.close();
  }
}

type Row = SecretAgeEntry & { rotatedBy?: string | undefined };

function reportText({ environment, checkedAt, total, started }: AgesReport, secrets: Row[]): string {
  const lines = [
    total === 0
      ? `There is no secret below ${environment}/, and the catalog declares none.`
      : table([
          ['SECRET', 'TYPE', 'AGE', 'LIMIT', 'DUE', 'LAST ROTATED BY'],
          ...secrets.map((row) => rowOf(row, Date.parse(checkedAt))),
        ]),
    ...(secrets.length < total ? [`${total - secrets.length} younger ones are not shown.`] : []),
  ];
  if (!started) return lines.join('\n');
  const { workflowId, problem } = started;
  return [...lines, problem ? `${workflowId}: ${problem}.` : `${workflowId} rotates what is due.`].join('\n');
}

function rowOf({ secret, type, since, limitMs, dueAt, overdue, rotatedBy: who }: Row, now: number): string[] {
  const kind = type ?? '(not in the catalog)';
  if (since === undefined || dueAt === undefined) {
    return [secret, kind, 'does not exist', formatDuration(limitMs), '-', '-'];
  }
  const age = formatDuration(Math.max(now - Date.parse(since), 0));
  const due = dueAt.slice(0, 10);
  return [secret, kind, age, formatDuration(limitMs), overdue ? `${due} OVERDUE` : due, who ?? '-'];
}
