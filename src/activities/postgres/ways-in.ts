import { Context } from '@temporalio/activity';
import { Cause } from '../../rotation/errors';
import { failure } from '../failures';
import type { Credentials, DatabaseTarget } from './credentials';
import type { PostgresLogin, PostgresServers, PostgresSession, ProbeResult } from './server';

/** A refused administrator is asked that often, at these intervals: below the usual lockout limits. */
const ADMIN_ATTEMPTS = 3;
const ADMIN_PAUSE_MS = 5_000;

/** What a probe found, for messages. */
export const SHOWN: Record<ProbeResult, string> = {
  opened: 'opens it',
  refused: 'is refused',
  locked: 'may not log in',
};

export function describeLogin(login: PostgresLogin): string {
  return `login "${login.username}" on ${login.host}:${login.port}`;
}

/** How a login is altered: by the administrator, or by itself. */
export function createWaysIn(postgres: PostgresServers, credentials: Credentials) {
  async function asAdmin<T>(target: DatabaseTarget, work: (session: PostgresSession) => Promise<T>): Promise<T> {
    if (!target.adminSecretId) {
      throw failure(Cause.PermissionDenied, 'this needs an administrator; name an adminSecret in the catalog.');
    }
    const admin = await credentials.current(target.adminSecretId, target);
    const entered = await postgres.session(admin, work);
    if (entered.entered) return entered.result;
    // Its own password may be changing in this moment; asking more often would lock it out.
    const { attempt } = Context.current().info;
    throw failure(
      attempt < ADMIN_ATTEMPTS ? Cause.AdministratorRefused : Cause.NoWayIn,
      `the administrator in ${target.adminSecretId} (${describeLogin(admin)}) ${SHOWN[entered.probe]}. Correct that secret first.`,
      ADMIN_PAUSE_MS,
    );
  }

  /** Works as the administrator where there is one, otherwise as the login itself. @returns false when that is not let in. */
  async function alterAs(
    target: DatabaseTarget,
    login: PostgresLogin,
    work: (session: PostgresSession, asItself: boolean) => Promise<void>,
  ): Promise<boolean> {
    if (target.adminSecretId) {
      await asAdmin(target, (session) => work(session, false));
      return true;
    }
    return (await postgres.session(login, (session) => work(session, true))).entered;
  }

  return { asAdmin, alterAs };
}
