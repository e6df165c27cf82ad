import { Cause } from '../../rotation/errors';
import { ApplicationFailure } from '@temporalio/common';
import { failure } from '../failures';
import { readOwnCurrent } from '../secrets-manager/current-version';
import type { StepInput } from '../step-input';
import type { Credentials, DatabaseTarget } from './credentials';
import { endSessions, ensureLogin, lockRole, openSessions, setRolePassword } from './roles';
import type { PostgresLogin, PostgresServers } from './server';
import { createWaysIn, describeLogin as describe, SHOWN } from './ways-in';

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

export interface SetPasswordBackInput extends LoginInput {
  /** The version whose password the target may have by now. */
  candidateVersionId: string;
  /** Where AWSCURRENT must be; on the version itself when absent. */
  currentVersionId?: string;
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

const REMEDY = {
  refused: "Store the password that works, or set the role's password to the stored one",
  locked: 'Let the role log in (ALTER ROLE … LOGIN), or store a login that may',
} as const;

export function createPostgresActivities(postgres: PostgresServers, credentials: Credentials) {
  const { asAdmin, alterAs } = createWaysIn(postgres, credentials);

  async function probeVersion({ secretId, target }: LoginInput, versionId: string) {
    const login = await credentials.ofVersion(secretId, versionId, target);
    return { login, probe: await postgres.probe(login) };
  }

  const noWayIn = ({ secretId }: LoginInput, login: PostgresLogin) =>
    failure(
      Cause.NoWayIn,
      `no version of ${secretId} that this rotation knows opens its target as ${describe(login)}, so its password could not be set. Set it by hand to that of the version labelled AWSCURRENT.`,
    );

  return {
    /** Refuses a secret that does not open its target, or whose administrator is not let in, before anything is changed. */
    async confirmCurrentLogin(input: ConfirmCurrentLoginInput): Promise<void> {
      const { login, probe } = await probeVersion(input, input.versionId);
      if (probe === 'opened') {
        if (input.target.adminSecretId) await asAdmin(input.target, () => Promise.resolve());
        return;
      }
      const previous =
        input.previousVersionId === undefined
          ? 'There is no AWSPREVIOUS'
          : `AWSPREVIOUS ${SHOWN[(await probeVersion(input, input.previousVersionId)).probe]}`;
      throw failure(
        Cause.CurrentCredentialRefused,
        `AWSCURRENT of ${input.secretId} no longer opens its target: ${describe(login)} ${SHOWN[probe]}${probe === 'refused' ? ' (a wrong password or no such role)' : ''}. ${previous}. Nothing was changed. ${REMEDY[probe]}, then rotate again.`,
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
      await alterAs(input.target, stale, (session, asItself) =>
        setRolePassword(session, login, input.versionId, { asItself }),
      );
    },

    /**
     * Gives the target the password of one version. Probes first, because an earlier attempt may have taken effect without an
     * answer; alters as the administrator where there is one, otherwise as the login itself.
     */
    async setPassword(input: SetPasswordInput): Promise<void> {
      const { login, probe } = await probeVersion(input, input.versionId);
      if (probe === 'opened') return;
      for (const versionId of input.otherVersionIds) {
        const other = await credentials.ofVersion(input.secretId, versionId, input.target);
        const altered = await alterAs(input.target, other, (session, asItself) =>
          setRolePassword(session, login, input.versionId, { asItself }),
        );
        if (altered) return;
      }
      throw noWayIn(input, login);
    },

    /**
     * Undoes setPassword. It sets the password even where that seems to be in force already: an earlier statement whose answer was
     * lost may still be waiting on the server, and of two the later one counts.
     */
    async setPasswordBack(input: SetPasswordBackInput): Promise<void> {
      const { versionId } = await credentials.current(input.secretId, input.target);
      if (versionId !== (input.currentVersionId ?? input.versionId)) {
        throw failure(
          Cause.LabelsMoved,
          `AWSCURRENT of ${input.secretId} is version ${versionId}, where this rotation did not put it; the password of the login was left as it is. Make sure that the two fit.`,
        );
      }
      const { login, probe } = await probeVersion(input, input.versionId);
      const other =
        probe === 'opened'
          ? login
          : await credentials.ofVersion(input.secretId, input.candidateVersionId, input.target);
      try {
        const altered = await alterAs(input.target, other, (session, asItself) =>
          setRolePassword(session, login, input.versionId, { asItself }),
        );
        if (!altered) throw noWayIn(input, login);
      } catch (error) {
        // Where it may not be changed, this rotation has not changed it either.
        const notAllowed = error instanceof ApplicationFailure && error.type === Cause.PermissionDenied;
        if (!(notAllowed && probe === 'opened')) throw error;
      }
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
      const login = await readOwnCurrent(input, () => credentials.current(input.secretId, input.target));
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
    async prepareLogin(input: PrepareLoginInput): Promise<{ settingsLeftOut: string[] }> {
      const login = await credentials.ofVersion(input.secretId, input.versionId, input.target);
      const model = await credentials.ofVersion(input.secretId, input.modelVersionId, input.target);
      const settingsLeftOut = await asAdmin(input.target, (session) =>
        ensureLogin(session, login, input.versionId, input.groupRole, model.username),
      );
      return { settingsLeftOut };
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
        if (hadPassword) await setRolePassword(session, previous, previousVersionId, { lock: locked });
        else await lockRole(session, login.username);
      });
    },

    /** Alternating users: takes LOGIN away. Sessions that are open stay. The login of AWSCURRENT is never locked. */
    async lockLogin(input: LoginInput): Promise<void> {
      const login = await credentials.ofVersion(input.secretId, input.versionId, input.target);
      const current = await credentials.current(input.secretId, input.target);
      if (current.username === login.username) {
        throw failure(
          Cause.LabelsMoved,
          `AWSCURRENT of ${input.secretId} is version ${current.versionId}, whose ${describe(login)} was to be locked; it was left as it is.`,
        );
      }
      await asAdmin(input.target, (session) => lockRole(session, login.username));
    },

    /** Ends the sessions of a version's login, as far as the administrator may; without one, as the login itself. */
    async endSessions(input: LoginInput): Promise<{ left: number }> {
      const login = await credentials.ofVersion(input.secretId, input.versionId, input.target);
      let left = 0;
      const entered = await alterAs(input.target, login, async (session, asItself) => {
        left = await endSessions(session, login.username, { asItself });
      });
      if (entered) return { left };
      throw failure(
        Cause.CandidateRefused,
        `version ${input.versionId} of ${input.secretId} does not open its target as ${describe(login)}, so that its sessions could not be ended.`,
      );
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
