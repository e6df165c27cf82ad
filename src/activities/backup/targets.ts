import { ApplicationFailure } from '@temporalio/common';
import type { BackupReference } from '../../rotation/backup';
import { Cause } from '../../rotation/errors';
import { credentialOf } from '../api-keys/credential';
import type { ApiKeyTarget } from '../api-keys/key-store';
import type { ApiKeyProviders } from '../api-keys/providers';
import { failure } from '../failures';
import type { Credentials, DatabaseTarget } from '../postgres/credentials';
import { ensureLogin, setRolePassword } from '../postgres/roles';
import type { PostgresLogin, PostgresServers } from '../postgres/server';
import { createWaysIn, describeLogin } from '../postgres/ways-in';
import { parseJsonSecret } from '../secrets-manager/json-secret';
import type { StepInput } from '../step-input';
import { backedUpSecret } from './backups';
import type { Backups } from './backups';

export interface FindWayInInput extends StepInput {
  backup: BackupReference;
  target: DatabaseTarget;
  /** The versions of the secret that there are, likeliest first; the first is AWSCURRENT. */
  currentVersionId?: string;
  otherVersionIds: string[];
  /** Nothing is restored, also not the administrator, which otherwise comes first. */
  dryRun: boolean;
}

/** How a login gets the backed-up password. */
export interface WayIn {
  /** It has that password already. */
  fits: boolean;
  /** The login is the one that AWSCURRENT names. */
  ofCurrent: boolean;
  /** A version of the secret that opens the database as this login; VersionId. */
  opens?: string;
  /** The password that the backup calls AWSPREVIOUS opens it. */
  throughBackup?: true;
}

export interface GivePasswordInput extends StepInput {
  backup: BackupReference;
  target: DatabaseTarget;
  /** The version that holds the backed-up login. */
  versionId: string;
  wayIn: WayIn;
  /** Alternating users: the role that the login is a member of. */
  groupRole?: string;
}

export interface ProveBackedUpKeyInput extends StepInput {
  backup: BackupReference;
  target: ApiKeyTarget;
  dryRun: boolean;
}

export interface RestoringDependencies {
  backups: Backups;
  postgres: PostgresServers;
  credentials: Credentials;
  apiKeys: ApiKeyProviders;
}

/** What restoring does in the systems that secrets open. */
export function createRestoringActivities({ backups, postgres, credentials, apiKeys }: RestoringDependencies) {
  const { asAdmin } = createWaysIn(postgres, credentials);

  const backedUpLogin = (secretId: string, text: string, target: DatabaseTarget): PostgresLogin =>
    credentials.ofText(text, `the backup of ${secretId}`, target);

  /** A version that cannot be read opens nothing. */
  async function loginOf(secretId: string, versionId: string, target: DatabaseTarget) {
    try {
      return await credentials.ofVersion(secretId, versionId, target);
    } catch (error) {
      if (error instanceof ApplicationFailure && UNREADABLE.includes(error.type ?? '')) return undefined;
      throw error;
    }
  }

  /** Asks as an administrator; in a dry run one that is lost too is taken to be there by then. */
  async function unlessRestoredFirst<T>(
    { backup, dryRun }: { backup: BackupReference; dryRun: boolean },
    adminSecretId: string | undefined,
    ask: () => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await ask();
    } catch (error) {
      const lost = error instanceof ApplicationFailure && error.type === Cause.SecretUnusable;
      if (!dryRun || !lost || adminSecretId === undefined) throw error;
      await backedUpSecret(backups, backup, adminSecretId);
      return undefined;
    }
  }

  const noWayIn = (secretId: string, login: PostgresLogin) =>
    failure(
      Cause.NoWayIn,
      `neither the backup nor any version of ${secretId} opens its database as ${describeLogin(login)}, and the catalog names no adminSecret for it, so that its password cannot be set. The secret was left as it is. Set the login's password by hand, store it in ${secretId} (Secrets Manager), and rotate it: keyturn rotate ${secretId}`,
    );

  return {
    /** Finds out, before anything is changed, whether and how the login can be given its backed-up password. */
    async findWayIn(input: FindWayInInput): Promise<WayIn> {
      const { secretId, backup, target, currentVersionId, otherVersionIds } = input;
      const { current, previous } = await backedUpSecret(backups, backup, secretId);
      const login = backedUpLogin(secretId, current.text, target);
      const inUse = currentVersionId === undefined ? undefined : await loginOf(secretId, currentVersionId, target);
      const ofCurrent = inUse?.username === login.username;
      if ((await postgres.probe(login)) === 'opened') return { fits: true, ofCurrent };
      for (const versionId of [...(currentVersionId ? [currentVersionId] : []), ...otherVersionIds]) {
        const other = await loginOf(secretId, versionId, target);
        if (!other || !isSameLogin(other, login) || (await postgres.probe(other)) !== 'opened') continue;
        return { fits: false, ofCurrent, opens: versionId };
      }
      if (target.adminSecretId) {
        await unlessRestoredFirst(input, target.adminSecretId, () => asAdmin(target, () => Promise.resolve()));
        return { fits: false, ofCurrent };
      }
      const before = previous && backedUpLogin(secretId, previous.text, target);
      if (before && isSameLogin(before, login) && (await postgres.probe(before)) === 'opened') {
        return { fits: false, ofCurrent, throughBackup: true };
      }
      throw noWayIn(secretId, login);
    },

    /** Gives a login the password of a restored version. Probes first, because an earlier attempt may have taken effect. */
    async giveRestoredPassword(input: GivePasswordInput): Promise<void> {
      const { secretId, versionId, target, groupRole, wayIn, backup } = input;
      const login = await credentials.ofVersion(secretId, versionId, target);
      if ((await postgres.probe(login)) === 'opened') return;
      if (groupRole !== undefined) {
        await asAdmin(target, (session) => ensureLogin(session, login, versionId, groupRole, login.username));
        return;
      }
      if (target.adminSecretId) {
        await asAdmin(target, (session) => setRolePassword(session, login, versionId));
        return;
      }
      const { previous } = await backedUpSecret(backups, backup, secretId);
      const other = wayIn.opens
        ? await credentials.ofVersion(secretId, wayIn.opens, target)
        : backedUpLogin(secretId, previous?.text ?? '', target);
      const { entered } = await postgres.session(other, (session) =>
        setRolePassword(session, login, versionId, { asItself: true }),
      );
      if (!entered) throw noWayIn(secretId, login);
    },

    /** Sees, before anything is changed, that the provider still accepts the backed-up key. */
    async proveBackedUpKey(input: ProveBackedUpKeyInput): Promise<void> {
      const { secretId, backup, target } = input;
      const { current } = await backedUpSecret(backups, backup, secretId);
      const where = `the backup of ${secretId}`;
      const key = credentialOf(target.fields, current.text, where);
      const admin = target.provider.name === 'http' ? target.provider.adminSecretId : undefined;
      const answer = await unlessRestoredFirst(input, admin, async () => {
        const provider = await apiKeys.open({ ...target, secretId }, parseJsonSecret(current.text, where));
        return provider.verify(key);
      });
      if (answer !== 'refused') return;
      throw failure(
        Cause.CandidateRefused,
        `the provider no longer accepts the key ${key.id ?? ''} that the backup holds of ${secretId}. The secret was left as it is. If its present key works, leave it; otherwise create a key at the provider, store it in ${secretId}, and rotate it: keyturn rotate ${secretId}`,
      );
    },
  };
}

/** Not there, binary, empty, no database secret, or of a secret that is scheduled for deletion. */
const UNREADABLE: readonly string[] = [Cause.SecretUnusable, Cause.NotYetVisible];

function isSameLogin(one: PostgresLogin, other: PostgresLogin): boolean {
  return one.username === other.username && one.host === other.host && one.port === other.port;
}
