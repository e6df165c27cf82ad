import type { WayIn } from '../activities/backup/targets';
import { backupUrl } from '../rotation/backup';
import type { BackupReference } from '../rotation/backup';
import type { ApiKeyPlan, AppSecretPlan, DatabasePlan, RotationPlan } from '../rotation/plan';
import { aboutKey } from './api-key-steps';
import { isInForce } from './changes';
import { loginWithCandidate, targetOf, verifyAsApplication } from './database-steps';
import type { Recipe, RotationContext, Step } from './saga/step';
import { currentOf, discardCandidate, promote, settleStaleCandidate, staleCandidate } from './secret-steps';

/** The recipes by which one secret goes back to what a backup holds; the backed-up value is their candidate. */

const isDry = ({ input }: RotationContext) => input.dryRun === true;

const takeBackFromDeletion: Step<RotationPlan> = {
  name: 'takeBackFromDeletion',
  summary: ({ plan }) => `keep ${plan.secretId}, which is scheduled for deletion`,
  when: ({ found }) => found.scheduledForDeletion === true,
  run: (_context, { write }) => write.cancelDeletion({}),
  undo: {
    summary: ({ plan }) => `schedule ${plan.secretId} for deletion again, in 30 days`,
    afterTheOthers: true,
    run: (_context, { write }) => write.scheduleDeletion({}),
  },
};

const stageBackup = (backup: BackupReference): Step<RotationPlan> => ({
  name: 'stageBackup',
  summary: ({ plan, found }) =>
    found.exists
      ? `store what the backup holds of ${plan.secretId}, labelled AWSPENDING`
      : `create ${plan.secretId} with what ${backupUrl(backup)} holds of it`,
  run: ({ candidate, found }, { write }) =>
    write.stageFromBackup({ versionId: candidate, exists: found.exists, backup }),
  undo: discardCandidate,
});

/** The value alone: nothing else knows it. */
export function appSecretFromBackup(backup: BackupReference): Recipe<AppSecretPlan> {
  return [takeBackFromDeletion, settleStaleCandidate, stageBackup(backup), promote];
}

/** The value, if the provider still accepts the key. */
export function apiKeyFromBackup(backup: BackupReference): Recipe<ApiKeyPlan> {
  const proveBackedUpKey: Step<ApiKeyPlan> = {
    name: 'proveBackedUpKey',
    summary: () => 'see that the provider still accepts the backed-up key',
    onlyLooks: true,
    run: (context, { read }) =>
      read.proveBackedUpKey({ backup, target: aboutKey(context).target, dryRun: isDry(context) }),
  };
  const verifyInUse: Step<ApiKeyPlan> = {
    name: 'verifyInUse',
    summary: ({ plan }) => `see that the provider accepts the key in AWSCURRENT of ${plan.secretId}`,
    run: (context, { read }) =>
      read.proveKey({ ...aboutKey(context), currentVersionId: context.candidate, where: 'primary' }),
  };
  return [proveBackedUpKey, takeBackFromDeletion, settleStaleCandidate, stageBackup(backup), promote, verifyInUse];
}

/** The value, and the login's password in the database: by itself, or by the administrator. */
export function databaseFromBackup(backup: BackupReference): Recipe<DatabasePlan> {
  // Until it is known, a dry run and `status` show the step.
  let wayIn: WayIn | undefined;
  /** The version whose password the login had. With alternating users only the login in use is given it back here. */
  const setBackTo = ({ plan, found }: RotationContext<DatabasePlan>) => {
    const { current } = found.labels;
    if (wayIn?.opens === undefined || current === undefined) return undefined;
    if (plan.strategy === 'single-user' && isInForce('a-restore-undone-goes-back-to-its-way-in')) return wayIn.opens;
    return wayIn.ofCurrent && wayIn.opens === current ? wayIn.opens : undefined;
  };

  const findWayIn: Step<DatabasePlan> = {
    name: 'findWayIn',
    summary: ({ plan }) => `find out how the login of ${plan.secretId} can be given the backed-up password`,
    onlyLooks: true,
    run: async (context, { read }) => {
      const { current, previous, pending } = context.found.labels;
      const otherVersionIds = [previous, pending].filter((id) => id !== undefined && id !== current) as string[];
      wayIn = await read.findWayIn({
        backup,
        target: targetOf(context),
        currentVersionId: current,
        otherVersionIds,
        dryRun: isDry(context),
      });
    },
  };

  /** Where that candidate was the way in, the database goes back to its password, and the next rotation looks for it by the label. */
  const settleStale: Step<DatabasePlan> = {
    ...settleStaleCandidate,
    undo: {
      summary: ({ plan }) => `label what the terminated rotation of ${plan.secretId} left AWSPENDING again`,
      when: (context) => staleCandidate(context) !== undefined && setBackTo(context) === staleCandidate(context),
      afterTheOthers: true,
      unlessOthersFailed: true,
      run: (context, { write }) => {
        const stale = staleCandidate(context) ?? '';
        return write.moveLabels({ versionId: stale, moves: [{ label: 'pending', to: stale }] });
      },
    },
  };

  const giveRestoredPassword: Step<DatabasePlan> = {
    name: 'giveRestoredPassword',
    summary: ({ plan }) =>
      `set the login's password to the backed-up one${plan.adminSecretId ? `, as the administrator in ${plan.adminSecretId}` : ''}`,
    when: () => wayIn?.fits !== true,
    run: async (context, { write }) => {
      const { plan, candidate } = context;
      if (!wayIn) return;
      await write.giveRestoredPassword({
        backup,
        target: targetOf(context),
        versionId: candidate,
        wayIn,
        groupRole: plan.groupRole,
      });
    },
    undo: {
      summary: (context) =>
        setBackTo(context)
          ? `set the login's password back to the one that ${context.plan.secretId} had`
          : isOtherLogin(context)
            ? 'give the login that is not in use its earlier password again, or lock it'
            : `leave the login with the backed-up password: ${earlierPassword()}`,
      run: async (context, { write }) => {
        const { plan, candidate, found } = context;
        const target = targetOf(context);
        const versionId = setBackTo(context);
        const currentVersionId = currentOf(context);
        if (versionId) {
          await write.setPasswordBack({ versionId, candidateVersionId: candidate, currentVersionId, target });
        } else if (isOtherLogin(context)) {
          await write.restoreLogin({
            versionId: candidate,
            previousVersionId: found.labels.previous,
            locked: plan.gracePeriodMs !== undefined,
            target,
          });
        }
      },
    },
  };

  /** Why it is not given back. */
  const earlierPassword = () =>
    wayIn?.opens === undefined
      ? 'the one that it had before is in no version of the secret'
      : `the one that it had before is that of version ${wayIn.opens}, which no reader gets`;

  /** Alternating users: AWSCURRENT names the other login, and goes on doing so when this is undone. */
  const isOtherLogin = (context: RotationContext<DatabasePlan>) =>
    context.plan.strategy === 'alternating-users' && wayIn?.ofCurrent === false && currentOf(context) !== '';

  return [
    takeBackFromDeletion,
    findWayIn,
    settleStale,
    stageBackup(backup),
    giveRestoredPassword,
    loginWithCandidate,
    promote,
    verifyAsApplication,
  ];
}
