import { ApplicationFailure } from '@temporalio/common';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { Cause } from '../../rotation/errors';
import { protect } from '../boundary/activity-scope';
import { failure } from '../failures';
import { scramVerifier } from './scram';
import type { PostgresLogin, PostgresSession } from './server';

/**
 * Sets a role's password by its SCRAM verifier, so that the server never sees the password itself.
 *
 * @param lock takes LOGIN away in the same statement: between two, a worker that dies would leave the role unlocked.
 * @param asItself the session is the login's own. Its settings may have made it act as its group, which may not alter it.
 */
export async function setRolePassword(
  session: PostgresSession,
  login: PostgresLogin,
  versionId: string,
  { lock = false, asItself = false } = {},
): Promise<void> {
  const verifier = protect(await scramVerifier(login.password, versionId, login.username));
  if (asItself) await session.query('act as itself', 'SET ROLE NONE');
  await session.query(
    lock ? 'lock the role and alter its password' : 'alter the password of the role',
    `ALTER ROLE ${escapeIdentifier(login.username)} ${lock ? 'NOLOGIN ' : ''}PASSWORD ${escapeLiteral(verifier)}`,
  );
}

interface RoleState {
  exists: boolean;
  /** Member of the group role, directly or through others. A superuser, who counts as a member of everything, is none. */
  member: boolean;
}

/**
 * Makes a login of the group role ready: creates it where it is missing, unlocks it, sets its password. What it may do comes from the
 * group role alone; its sessions start as the group role, so that what it creates belongs to the group. Connection limit and settings
 * are taken over from the other login.
 *
 * @returns the names of settings that the administrator may not set for it.
 */
export async function ensureLogin(
  session: PostgresSession,
  login: PostgresLogin,
  versionId: string,
  groupRole: string,
  model: string,
): Promise<string[]> {
  const role = escapeIdentifier(login.username);
  const state = await roleState(session, login.username, groupRole);
  if (state.exists && !state.member) {
    throw failure(
      Cause.LoginNotOurs,
      `the role "${login.username}" exists and is not a member of "${groupRole}"; it was left as it is. Grant it the membership, or name another login in the catalog (logins).`,
    );
  }
  const verifier = escapeLiteral(protect(await scramVerifier(login.password, versionId, login.username)));
  if (!state.exists) {
    await session.query(
      'create the second login',
      `CREATE ROLE ${role} LOGIN INHERIT IN ROLE ${escapeIdentifier(groupRole)} PASSWORD ${verifier}`,
    );
  } else {
    await session.query('unlock the login and set its password', `ALTER ROLE ${role} LOGIN PASSWORD ${verifier}`);
  }
  return copySettings(session, login.username, model, groupRole);
}

async function roleState(session: PostgresSession, role: string, groupRole: string): Promise<RoleState> {
  const [group] = await session.query('look up the group role', 'SELECT 1 FROM pg_roles WHERE rolname = $1', [
    groupRole,
  ]);
  if (!group) {
    throw failure(
      Cause.SecretUnusable,
      `there is no role "${groupRole}". Create it (NOLOGIN, owner of everything), or correct groupRole in the catalog.`,
    );
  }
  const [found] = await session.query<{ member: boolean }>(
    'look up the login',
    `SELECT pg_has_role(oid, $2, 'MEMBER') AND NOT rolsuper AS member FROM pg_roles WHERE rolname = $1`,
    [role, groupRole],
  );
  return { exists: found !== undefined, member: found?.member ?? false };
}

/** Connection limit and `ALTER ROLE … SET` settings of the model, and sessions that start as the group role. */
async function copySettings(
  session: PostgresSession,
  username: string,
  model: string,
  groupRole: string,
): Promise<string[]> {
  const role = escapeIdentifier(username);
  const leftOut: string[] = [];
  const [limit] = await session.query<{ connections: number }>(
    "read the other login's connection limit",
    'SELECT rolconnlimit AS connections FROM pg_roles WHERE rolname = $1',
    [model],
  );
  if (limit) {
    await session.query('set the connection limit', `ALTER ROLE ${role} CONNECTION LIMIT ${Number(limit.connections)}`);
  }
  const settings = await session.query<{ database: string | null; setting: string }>(
    "read the other login's settings",
    `SELECT d.datname AS database, unnest(s.setconfig) AS setting
       FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
      WHERE r.rolname = $1`,
    [model],
  );
  for (const { database, setting } of settings) {
    const equals = setting.indexOf('=');
    const name = setting.slice(0, equals);
    if (name === 'role') continue;
    const where = database === null ? '' : ` IN DATABASE ${escapeIdentifier(database)}`;
    const value = settingValue(name, setting.slice(equals + 1));
    try {
      await session.query(
        'take over a setting',
        `ALTER ROLE ${role}${where} SET ${escapeIdentifier(name)} TO ${value}`,
      );
    } catch (error) {
      // Some settings are the superuser's to give; the login works without them, and the operator is told.
      if (!(error instanceof ApplicationFailure) || error.type !== Cause.PermissionDenied) throw error;
      leftOut.push(name);
    }
  }
  await session.query(
    'start its sessions as the group role',
    `ALTER ROLE ${role} SET role TO ${escapeLiteral(groupRole)}`,
  );
  return leftOut;
}

/** Settings whose value is a list of quoted names; the server keeps these, and only these, already quoted. */
const LIST_SETTINGS = ['search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries'];
const LIST_ELEMENT = /\s*(?:"((?:[^"]|"")*)"|([^\s",]+))\s*(?:,|$)/y;

/**
 * A setting's value as SQL. Every part of it becomes a literal: a login may choose its own settings, and this statement runs with the
 * administrator's rights.
 */
export function settingValue(name: string, value: string): string {
  if (!LIST_SETTINGS.includes(name)) return escapeLiteral(value);
  const elements = Array.from(value.matchAll(new RegExp(LIST_ELEMENT, 'gy')), ([, quoted, bare]) =>
    quoted !== undefined ? quoted.replaceAll('""', '"') : (bare ?? ''),
  );
  return elements.length > 0 ? elements.map(escapeLiteral).join(', ') : "''";
}

export async function lockRole(session: PostgresSession, username: string): Promise<void> {
  await session.query('lock the login', `ALTER ROLE ${escapeIdentifier(username)} NOLOGIN`);
}

export async function openSessions(session: PostgresSession, username: string): Promise<number> {
  const [row] = await session.query<{ sessions: number }>(
    "count the login's sessions",
    'SELECT count(*)::int AS sessions FROM pg_stat_activity WHERE usename = $1 AND pid <> pg_backend_pid()',
    [username],
  );
  return row?.sessions ?? 0;
}

/**
 * Ends a login's sessions, other than this very one, where the session's own role may.
 *
 * @param asItself the session is the login's own. Its settings may have made it act as its group, which may not end them.
 * @returns how many are left.
 */
export async function endSessions(
  session: PostgresSession,
  username: string,
  { asItself = false } = {},
): Promise<number> {
  if (asItself) await session.query('act as itself', 'SET ROLE NONE');
  try {
    await session.query(
      "end the login's sessions",
      'SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1 AND pid <> pg_backend_pid()',
      [username],
    );
  } catch (error) {
    if (!(error instanceof ApplicationFailure) || error.type !== Cause.PermissionDenied) throw error;
  }
  return openSessions(session, username);
}
