import { Cause } from '../../rotation/errors';
import { failure } from '../failures';
import type { StepInput } from '../step-input';
import type { Credentials, DatabaseTarget } from './credentials';
import { ensureLogin, lockRole, openSessions, setRolePassword } from './roles';
import type { PostgresLogin, PostgresServers, PostgresSession, ProbeResult } from './server';

export interface LoginInput extends StepInput {
  target: DatabaseTarget;
  /** The version whose login is meant. */
  versionId: string;
}

export interface ConfirmCurrentLoginInput extends LoginInput {
  previousVersionId?: string;
}

export interface SettleLeftoversInput extends LoginInput {
  /** The version that still carries AWSPENDING although no rotation runs. */
  staleVersionId: string;
}

export interface SetPasswordInput extends LoginInput {
  /** Versions that may open the target as it is now, likeliest first. Only refused logins lead on to the next one. */
  otherVersionIds: string[];
}

export interface PrepareLoginInput extends LoginInput {
  groupRole: string;
  /** The version in use, whose login the new one is modelled on. */
  modelVersionId: string;
}

export interface RestoreLoginInput extends LoginInput {
  /** The version labelled AWSPREVIOUS before the rotation. */
  previousVersionId?: string;
  /** Whether logins out of use are locked, as the catalog says. */
  locked: boolean;
}

const SHOWN: Record<ProbeResult, string> = {
  opened: 'opens it',
  refused: 'is refused',
  locked: 'may not log in',
};

export function createPostgresActivities(postgres: PostgresServers, credentials: Credentials) {
  const describe = (login: PostgresLogin) => `login "${login.username}" on ${login.host}:${login.port}`;

  async function probeVersion({ secretId, target }: LoginInput, versionId: string) {
    const login = await credentials.ofVersion(secretId, versionId, target);
    return { login, probe: await postgres.probe(login) };
  }

  async function asAdmin<T>(target: DatabaseTarget, work: (session: PostgresSession) => Promise<T>): Promise<T> {
    if (!target.adminSecretId) {
      throw failure(Cause.PermissionDenied, 'this needs an administrator; name an adminSecret in the catalog.');
    }
    const admin = await credentials.current(target.adminSecretId, target);
    const entered = await postgres.session(admin, work);
    if (entered.entered) return entered.result;
    throw failure(
      Cause.NoWayIn,
      `the administrator in ${target.adminSecretId} (${describe(admin)}) ${SHOWN[entered.probe]}. Correct that secret first.`,
    );
  }

  return {
    /** Refuses a secret that does not open its target before anything is changed. */
    async confirmCurrentLogin(input: ConfirmCurrentLoginInput): Promise<void> {
      const { login, probe } = await probeVersion(input, input.versionId);
      if (probe === 'opened') return;
      const previous =
        input.previousVersionId === undefined
          ? 'There is no AWSPREVIOUS'
          : `AWSPREVIOUS ${SHOWN[(await probeVersion(input, input.previousVersionId)).probe]}`;
      throw failure(
        Cause.CurrentCredentialRefused,
        `AWSCURRENT of ${input.secretId} no longer opens its target: ${describe(login)} ${SHOWN[probe]} (a wrong password or no such role). ${previous}. Nothing was changed. Store the password that works, or set the role's password to the stored one, then rotate again.`,
      );
    },

    /**
     * A rotation that was terminated may have left the target with the password of its candidate. Where AWSCURRENT is refused and
     * that candidate opens, the target gets the password of AWSCURRENT back; otherwise nothing is done.
     */
    async settleLeftovers(input: SettleLeftoversInput): Promise<void> {
      const { login, probe } = await probeVersion(input, input.versionId);
      if (probe === 'opened') return;
      const stale = await credentials.ofVersion(input.secretId, input.staleVersionId, input.target);
      if (stale.username !== login.username || (await postgres.probe(stale)) !== 'opened') return;
      const setBack = (session: PostgresSession) => setRolePassword(session, login, input.versionId);
      if (input.target.adminSecretId) await asAdmin(input.target, setBack);
      else await postgres.session(stale, setBack);
    },

    /**
     * Gives the target the password of one version. Probes first, because an earlier attempt may have taken effect without an
     * answer; alters as the administrator where there is one, otherwise as the login itself.
     */
    async setPassword(input: SetPasswordInput): Promise<void> {
      const { login, probe } = await probeVersion(input, input.versionId);
      if (probe === 'opened') return;
      const change = (session: PostgresSession) => setRolePassword(session, login, input.versionId);
      if (input.target.adminSecretId) return asAdmin(input.target, change);

      for (const versionId of input.otherVersionIds) {
        const other = await credentials.ofVersion(input.secretId, versionId, input.target);
        if ((await postgres.session(other, change)).entered) return;
      }
      throw failure(
        Cause.NoWayIn,
        `no version of ${input.secretId} that this rotation knows opens its target as ${describe(login)}, so its password could not be set. Set it by hand to that of the version labelled AWSCURRENT.`,
      );
    },

    /** Proves that a version opens the target. */
    async proveLogin(input: LoginInput): Promise<void> {
      const { login, probe } = await probeVersion(input, input.versionId);
      if (probe === 'opened') return;
      throw failure(
        Cause.CandidateRefused,
        `version ${input.versionId} of ${input.secretId} does not open its target: ${describe(login)} ${SHOWN[probe]}.`,
      );
    },

    /** Logs in as an application would: with whatever AWSCURRENT is now, which must be the given version. */
    async verifyAsApplication(input: LoginInput): Promise<void> {
      const login = await credentials.current(input.secretId, input.target);
      if (login.versionId !== input.versionId) {
        throw failure(
          Cause.CandidateRefused,
          `AWSCURRENT of ${input.secretId} is version ${login.versionId} and not ${input.versionId}: somebody moved the label meanwhile.`,
        );
      }
      const probe = await postgres.probe(login);
      if (probe === 'opened') return;
      throw failure(
        Cause.CandidateRefused,
        `AWSCURRENT of ${input.secretId} does not open its target: ${describe(login)} ${SHOWN[probe]}.`,
      );
    },

    /** Proves that a version no longer opens the target. */
    async proveOldPasswordRefused(input: LoginInput): Promise<void> {
      const { login, probe } = await probeVersion(input, input.versionId);
      if (probe !== 'opened') return;
      throw failure(
        Cause.OldCredentialAccepted,
        `the old password (version ${input.versionId} of ${input.secretId}) still opens the target as ${describe(login)}.`,
      );
    },

    /** Alternating users: makes the login of a version ready, creating it as a member of the group role when there is none. */
    async prepareLogin(input: PrepareLoginInput): Promise<void> {
      const login = await credentials.ofVersion(input.secretId, input.versionId, input.target);
      const model = await credentials.ofVersion(input.secretId, input.modelVersionId, input.target);
      await asAdmin(input.target, (session) =>
        ensureLogin(session, login, input.versionId, input.groupRole, model.username),
      );
    },

    /**
     * Alternating users: undoes prepareLogin. The login gets the password of AWSPREVIOUS again where that was its own, and is locked
     * where logins out of use are locked. One that this rotation did not change is left alone.
     */
    async restoreLogin(input: RestoreLoginInput): Promise<void> {
      const { previousVersionId, locked } = input;
      const { login, probe } = await probeVersion(input, input.versionId);
      if (probe !== 'opened') return;
      const previous =
        previousVersionId === undefined
          ? undefined
          : await credentials.ofVersion(input.secretId, previousVersionId, input.target);
      const hadPassword = previous !== undefined && previousVersionId && previous.username === login.username;
      if (hadPassword && previousVersionId === input.versionId && !locked) return;
      await asAdmin(input.target, async (session) => {
        if (hadPassword) await setRolePassword(session, previous, previousVersionId);
        if (locked || !hadPassword) await lockRole(session, login.username);
      });
    },

    /** Alternating users: takes LOGIN away. Sessions that are open stay. */
    async lockLogin(input: LoginInput): Promise<void> {
      const login = await credentials.ofVersion(input.secretId, input.versionId, input.target);
      await asAdmin(input.target, (session) => lockRole(session, login.username));
    },

    /** Alternating users: fails, to be tried again, while the login of a version has open sessions. */
    async waitForSessionsToEnd(input: LoginInput): Promise<void> {
      const login = await credentials.ofVersion(input.secretId, input.versionId, input.target);
      const sessions = await asAdmin(input.target, (session) => openSessions(session, login.username));
      if (sessions === 0) return;
      throw failure(
        Cause.SessionsStillOpen,
        `${describe(login)} still has ${sessions} open session${sessions === 1 ? '' : 's'}.`,
      );
    },
  };
}
