import { isIP } from 'node:net';
import type { Credentials, DatabaseTarget } from '../../activities/postgres/credentials';
import type { PostgresLogin, PostgresServers, PostgresSession, ProbeResult } from '../../activities/postgres/server';
import { Cause } from '../../rotation/errors';
import type { DatabasePlan } from '../../rotation/plan';
import type { Check } from './check';
import { check, failed, ok, skipped, warning } from './check';

export interface DatabaseAccess {
  postgres: PostgresServers;
  credentials: Credentials;
}

/** Whether a database lets in what AWSCURRENT says, over the TLS that was asked for, and the administrator too. */
export async function checkDatabase(access: DatabaseAccess, plan: DatabasePlan): Promise<Check[]> {
  const target: DatabaseTarget = plan;
  const name = `database of ${plan.secretId}`;
  let login: PostgresLogin | undefined;
  const checks = [
    await check(
      name,
      async () => {
        login = await access.credentials.current(plan.secretId, target);
        return loginCheck(name, plan.secretId, login, await access.postgres.probe(login));
      },
      { [Cause.TargetUnavailable]: checkTheWay(plan.secretId) },
    ),
  ];
  if (plan.adminSecretId !== undefined) {
    checks.push(await checkAdmin(access, plan, plan.adminSecretId, login?.username));
  }
  return checks;
}

const checkTheWay = (secretId: string) =>
  `Check that the server is up, host and port in ${secretId}, and the network between here and it.`;

function loginCheck(name: string, secretId: string, login: PostgresLogin, probe: ProbeResult): Check {
  const who = `"${login.username}" on ${login.host}:${login.port}`;
  switch (probe) {
    case 'opened':
      if (login.sslMode === 'disable' && !isLoopback(login.host)) {
        return warning(
          name,
          `${who} logs in, without TLS`,
          'Set sslmode: verify-full in the catalog, unless the network is trusted.',
        );
      }
      return ok(name, `${who} logs in (sslmode ${login.sslMode})`);
    case 'refused':
      return failed(
        name,
        `${who} is refused: wrong password or no such role`,
        `Store the password that works in ${secretId}, or set the role's password to the stored one.`,
      );
    case 'locked':
      return failed(name, `${who} may not log in`, `ALTER ROLE … LOGIN, or store another login in ${secretId}.`);
  }
}

interface AdminRights {
  mayManageRoles: boolean;
  groupExists: boolean;
  mayGrantGroup: boolean;
  loginExists: boolean;
  mayAlterLogin: boolean;
  loginInGroup: boolean;
}

// PostgreSQL 16 and later: CREATEROLE reaches only the roles that one has the admin option on (PostgreSQL manual, 'Role Attributes').
const ADMIN_RIGHTS = `
  WITH me AS (SELECT oid, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user),
       anyone AS (SELECT me.rolsuper OR (me.rolcreaterole AND current_setting('server_version_num')::int < 160000) AS yes FROM me),
       model AS (SELECT oid FROM pg_roles WHERE rolname = $1),
       login AS (SELECT oid FROM pg_roles WHERE rolname = $2)
  SELECT me.rolsuper OR me.rolcreaterole AS "mayManageRoles",
         model.oid IS NOT NULL AS "groupExists",
         anyone.yes OR coalesce(pg_has_role(me.oid, model.oid, 'MEMBER WITH ADMIN OPTION'), false) AS "mayGrantGroup",
         login.oid IS NOT NULL AS "loginExists",
         anyone.yes OR coalesce(pg_has_role(me.oid, login.oid, 'MEMBER WITH ADMIN OPTION'), false) AS "mayAlterLogin",
         coalesce(pg_has_role(login.oid, model.oid, 'MEMBER'), false) AS "loginInGroup"
    FROM me CROSS JOIN anyone LEFT JOIN model ON true LEFT JOIN login ON true`;

async function checkAdmin(
  { postgres, credentials }: DatabaseAccess,
  plan: DatabasePlan,
  adminSecretId: string,
  username: string | undefined,
): Promise<Check> {
  const name = `admin of ${plan.secretId}`;
  const look = async (): Promise<Check> => {
    const admin = await credentials.current(adminSecretId, plan);
    const readRights = (session: PostgresSession) =>
      session.query<AdminRights>("read the administrator's rights", ADMIN_RIGHTS, [
        plan.groupRole ?? null,
        username ?? null,
      ]);
    const entered = await postgres.session(admin, readRights);
    if (!entered.entered) return loginCheck(name, adminSecretId, admin, entered.probe);
    const [rights] = entered.result;
    const who = `"${admin.username}" (${adminSecretId})`;
    if (!rights) return skipped(name, `${who} logs in; its rights cannot be read`);
    const problem = missingRight(plan, rights, admin.username, username);
    return problem
      ? failed(name, `${who} logs in, but ${problem.found}`, problem.todo)
      : ok(name, `${who} logs in and may do what a rotation needs`);
  };
  return check(name, look, {
    [Cause.TargetUnavailable]: checkTheWay(adminSecretId),
    [Cause.SecretUnusable]: `Correct ${adminSecretId}, or name another adminSecret in the catalog.`,
  });
}

function missingRight(
  { strategy, groupRole = '', secretId }: DatabasePlan,
  rights: AdminRights,
  admin: string,
  login: string | undefined,
): { found: string; todo: string } | undefined {
  if (!rights.mayManageRoles) return { found: 'may not alter roles', todo: `ALTER ROLE "${admin}" CREATEROLE` };
  if (rights.loginExists && !rights.mayAlterLogin) {
    return { found: `may not alter "${login}"`, todo: `GRANT "${login}" TO "${admin}" WITH ADMIN OPTION` };
  }
  if (strategy === 'single-user') return undefined;
  if (!rights.groupExists) {
    return {
      found: `the group role "${groupRole}" does not exist`,
      todo: `CREATE ROLE "${groupRole}" NOLOGIN, and let it own what the application uses; or correct groupRole in the catalog.`,
    };
  }
  if (!rights.mayGrantGroup) {
    return { found: `may not grant "${groupRole}"`, todo: `GRANT "${groupRole}" TO "${admin}" WITH ADMIN OPTION` };
  }
  if (rights.loginExists && !rights.loginInGroup) {
    return {
      found: `"${login}", the login in ${secretId}, is not a member of "${groupRole}"`,
      todo: `GRANT "${groupRole}" TO "${login}"`,
    };
  }
  return undefined;
}

function isLoopback(host: string): boolean {
  return (
    host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.')) || host.startsWith('/')
  );
}
