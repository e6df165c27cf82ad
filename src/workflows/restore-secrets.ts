import { continueAsNew, defineQuery, isCancellation, setHandler, workflowInfo } from '@temporalio/workflow';
import { backupUrl, restoreWorkflowId } from '../rotation/backup';
import type {
  BackupProgress,
  BackupReference,
  RestoredSecret,
  RestoreInput,
  RestoreResult,
  SecretDifference,
} from '../rotation/backup';
import { BackupFailure, Cause } from '../rotation/errors';
import { inLanes } from '../rotation/in-lanes';
import { isInForce, noteChanges } from './changes';
import { deliverOne, restoreOne } from './restore-one';
import { activitiesFor } from './saga/activities';
import type { StepActivities } from './saga/activities';
import { checkEnvironmentInput } from './saga/environment-input';
import { causeOf, environmentFailed, refuse } from './saga/failures';

/** How long one look at the backup may take, and how long it is tried again. */
const LOOK_MS = 10 * 60_000;
const PATIENCE_MS = 15 * 60_000;
/** One look's share: what it reads is kept in mind for redaction, and what it answers is kept in history. */
const COMPARED_AT_ONCE = 50;
const WORKED_ON_AT_ONCE = 10;
/** Far below the 51,200 events that a history may have; afterwards the restore goes on in a new run. */
const SECRETS_PER_RUN = 500;

/** Where a restore of thousands of secrets goes on after it has continued as new. */
interface SoFar {
  backup: BackupReference;
  differences: SecretDifference[];
  results: RestoredSecret[];
}

/**
 * Sets an environment's secrets back to what a backup holds. The whole backup is verified before anything is changed. Then each secret
 * is restored by a workflow of its own, administrators first; last, what was restored is brought to the dependents. One that fails does
 * not stop the others.
 */
export async function restoreSecrets(input: RestoreInput, soFar?: SoFar): Promise<RestoreResult> {
  noteChanges();
  const progress: BackupProgress = { doing: 'verifying the backup', done: 0, total: 0 };
  setHandler(defineQuery<BackupProgress>('progress'), () => progress);
  const { backup, differences, results: known } = soFar ?? (await prepare(input, progress));
  const results = new Map(known.map((result) => [result.secret, result]));

  async function each(doing: string, due: SecretDifference[], work: Work): Promise<void> {
    Object.assign(progress, { doing, done: 0, total: due.length });
    await inLanes(due.slice(0, room), WORKED_ON_AT_ONCE, async (secret) => {
      results.set(secret.secret, await work(secret));
      progress.done++;
    });
    room -= Math.min(due.length, room);
    if (room > 0) return;
    await continueAsNew<typeof restoreSecrets>(input, { backup, differences, results: [...results.values()] });
  }

  let room = SECRETS_PER_RUN;
  const waiting = (first: boolean) =>
    differences.filter((secret) => (secret.first ?? false) === first && !results.has(secret.secret));
  const restore: Work = (secret) => restoreOne(input, backup, secret);
  await each('restoring the administrators', waiting(true), restore);
  await each('restoring the secrets', waiting(false), restore);
  const undelivered = differences.filter(({ secret }) => results.get(secret)?.outcome === 'to-be-delivered');
  await each('delivering to the dependents', undelivered, ({ secret }) =>
    deliverOne(input, results.get(secret) as RestoredSecret),
  );
  return reportOf(input, backup, differences, results);
}

type Work = (secret: SecretDifference) => Promise<RestoredSecret>;

/** Finds and verifies the backup, and sees how it differs; nothing has been changed when this fails. */
async function prepare(input: RestoreInput, progress: BackupProgress): Promise<SoFar> {
  let step = 'checkInput';
  const activities = (name: string, summary: string): Pick<StepActivities, 'read' | 'waitLong'> => {
    step = name;
    return activitiesFor({
      subject: { secretId: `${environment}/*`, reason: input.reason, requestedBy: input.requestedBy },
      step: name,
      summary,
      limitMs: PATIENCE_MS,
      onAuditDown: () => undefined,
    });
  };
  const { environment, from, kmsKey } = input;
  try {
    checkInput(input);
    const plan = await activities('loadBackupPlan', `look up where backups of ${environment} go`).read.loadBackupPlan({
      environment,
    });
    const backup = await activities('findBackup', `find the backup ${from}`).read.findBackup({
      environment,
      plan,
      from,
      kmsKey,
    });
    const { secrets: held, notHeld = [] } = await activities('openBackup', `verify ${backupUrl(backup)}`)
      .waitLong(LOOK_MS)
      .openBackup({ backup, secrets: input.secrets });
    const secrets = [...held, ...notHeld];
    Object.assign(progress, { doing: 'comparing the secrets with the backup', total: secrets.length });
    const differences: SecretDifference[] = [];
    for (let at = 0; at < secrets.length; at += COMPARED_AT_ONCE) {
      const page = secrets.slice(at, at + COMPARED_AT_ONCE);
      const compared = await activities('compare', `compare ${page.length} secrets with the backup`)
        .waitLong(LOOK_MS)
        .compareWithBackup({ backup, secrets: page });
      differences.push(...compared.differences);
      progress.done = differences.length;
    }
    const deliversAgain = isInForce('what-is-the-same-is-delivered-again');
    return { backup, differences, results: differences.flatMap((found) => settled(input, found, deliversAgain)) };
  } catch (error) {
    if (isCancellation(error)) throw error;
    throw environmentFailed(BackupFailure.RestoreRefused, step, causeOf(error));
  }
}

function checkInput(input: RestoreInput): void {
  checkEnvironmentInput(input, ['environment', 'from', 'kmsKey', 'reason', 'requestedBy'], {
    required: ['from'],
    others: ['secrets', 'dryRun'],
  });
  const { secrets, dryRun } = input;
  const bad = (why: string) => refuse(Cause.BadInput, `the input's field ${why}; nothing was started.`);
  const { workflowId } = workflowInfo();
  const own = restoreWorkflowId(input.environment);
  if (workflowId !== own && isInForce('a-restore-is-started-by-restores-alone')) {
    throw refuse(
      Cause.WrongWorkflowId,
      `a restore of ${input.environment} runs under the workflow ID ${own} and no other; nothing was touched. Type: keyturn restore ${input.environment} --from ${input.from}`,
    );
  }
  if (dryRun !== undefined && typeof dryRun !== 'boolean') throw bad('dryRun is not true or false');
  if (secrets === undefined) return;
  const names = Array.isArray(secrets) && secrets.length > 0 && secrets.every((name) => typeof name === 'string');
  if (!names) throw bad('secrets is not a list of names');
}

/**
 * What is not restored.
 *
 * @param deliversAgain what is the same goes to its dependents once more: an earlier restore may have ended before it did.
 */
function settled(
  { dryRun }: RestoreInput,
  { secret, difference, why, delivered, lost, neverCreated }: SecretDifference,
  deliversAgain: boolean,
): RestoredSecret[] {
  if (difference === 'same') {
    if (!delivered || !deliversAgain) return [{ secret, difference, outcome: 'same' }];
    return [{ secret, difference, outcome: dryRun ? 'would-be-delivered' : 'to-be-delivered' }];
  }
  if (difference === 'not-in-backup') {
    const message = neverCreated
      ? 'not in the backup, and never created as far as the audit log knows: there is nothing to restore'
      : `the backup does not hold it; try an earlier one${why === undefined ? '' : `. Whether it is there nobody can tell: ${why}`}`;
    return [{ secret, difference, outcome: 'left-out', message, lost, neverCreated }];
  }
  if (difference === 'target-unknown') {
    // A server that is down would hold up all others for as long as a step is tried.
    const message = `AWSCURRENT is what the backup holds, and was left alone; whether it opens its database nobody can tell: ${why}. Mend that, and restore again`;
    return [{ secret, difference, outcome: 'failed', message }];
  }
  if (difference !== 'not-declared') return [];
  return [{ secret, difference, outcome: 'left-out', message: 'the catalog does not name it any more' }];
}

function reportOf(
  { environment, dryRun }: RestoreInput,
  backup: BackupReference,
  differences: SecretDifference[],
  results: Map<string, RestoredSecret>,
): RestoreResult {
  const secrets = differences.flatMap(({ secret }) => results.get(secret) ?? []);
  const complete = secrets.every(
    ({ outcome, lost }) => !lost && (outcome === 'same' || outcome === 'restored' || outcome === 'left-out'),
  );
  const outcome = dryRun ? 'dry-run' : complete ? 'restored' : 'incomplete';
  return { outcome, environment, from: backupUrl(backup), time: backup.time, secrets };
}
