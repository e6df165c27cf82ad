import { defineQuery, isCancellation, setHandler, workflowInfo } from '@temporalio/workflow';
import { backupTime } from '../rotation/backup';
import type { BackupInput, BackupProgress, BackupResult } from '../rotation/backup';
import { BackupFailure } from '../rotation/errors';
import { activitiesFor } from './saga/activities';
import { checkEnvironmentInput } from './saga/environment-input';
import { causeOf, environmentFailed } from './saga/failures';

/** How long the whole backup may take in one attempt. */
const BACK_UP_MS = 30 * 60_000;
/** How long it is tried again. */
const PATIENCE_MS = 15 * 60_000;

/** Backs up the values of an environment's secrets into one encrypted object. */
export async function backupSecrets(input: BackupInput): Promise<BackupResult> {
  const progress: BackupProgress = { doing: 'reading and encrypting the secrets', done: 0, total: 1 };
  setHandler(defineQuery<BackupProgress>('progress'), () => progress);
  try {
    checkEnvironmentInput(input, ['environment', 'reason', 'requestedBy']);
    const { environment, reason, requestedBy } = input;
    return await activitiesFor({
      subject: { secretId: `${environment}/*`, reason, requestedBy },
      step: 'backUp',
      summary: `back up the secrets of ${environment}`,
      limitMs: PATIENCE_MS,
      onAuditDown: () => undefined,
    })
      .waitLong(BACK_UP_MS)
      .backUpSecrets({ environment, time: backupTime(workflowInfo().startTime.getTime()) });
  } catch (error) {
    if (isCancellation(error)) throw error;
    throw environmentFailed(BackupFailure.BackupFailed, 'backUp', causeOf(error));
  }
}
