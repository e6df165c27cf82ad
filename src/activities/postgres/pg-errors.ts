import type { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../rotation/errors';
import { failure } from '../failures';
import type { PostgresLogin, ProbeResult } from './server';

/** What node-postgres tells of an error: SQLSTATE in `code` (or Node's own code), the server's source routine in `routine`. */
interface PgError {
  code?: string;
  routine?: string;
  message?: string;
}

const asPgError = (error: unknown): PgError => (typeof error === 'object' && error !== null ? error : {});

/**
 * Whether the server refused this login. A wrong password is SQLSTATE 28P01. A role without LOGIN is 28000 from
 * InitializeSessionUserId; 28000 from elsewhere (a missing pg_hba.conf entry, say) proves nothing about the password. The routine is
 * compared because messages are translated (PostgreSQL manual, 'Error and Notice Message Fields').
 */
export function loginRefusal(error: unknown): Exclude<ProbeResult, 'opened'> | undefined {
  const { code, routine } = asPgError(error);
  if (code === '28P01') return 'refused';
  if (code === '28000' && routine === 'InitializeSessionUserId') return 'locked';
  return undefined;
}

const serverOf = ({ host, port }: PostgresLogin) => `PostgreSQL at ${host}:${port}`;

/** Why no session was opened, other than a refused login. */
export function connectFailure(error: unknown, login: PostgresLogin): ApplicationFailure {
  const { code = '', message = '' } = asPgError(error);
  const server = serverOf(login);
  if (code === '28000') {
    return failure(
      Cause.PermissionDenied,
      `${server} has no entry in pg_hba.conf that lets "${login.username}" in from this worker (sslmode ${login.sslMode}). Add one, or run the worker where there is one.`,
    );
  }
  if (code === '42501') {
    return failure(
      Cause.PermissionDenied,
      `${server} lets "${login.username}" in, but not into the database "${login.dbname}". Grant it CONNECT, or correct dbname in the secret.`,
    );
  }
  if (code === '3D000') {
    return failure(
      Cause.SecretUnusable,
      `${server} has no database "${login.dbname}". Correct dbname in the secret, or create the database.`,
    );
  }
  if (/does not support SSL/.test(message)) {
    return failure(
      Cause.TlsRefused,
      `${server} offers no TLS, and sslmode ${login.sslMode} asks for it. Turn TLS on at the server; or, on a network that you trust, say sslmode: disable in the catalog.`,
    );
  }
  if (/^(ERR_TLS|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|CERT_|ERR_SSL)/.test(code)) {
    return failure(
      Cause.TlsRefused,
      `the certificate of ${server} is not trusted under sslmode ${login.sslMode} (${code}). Give its certificate authority as sslRootCert in the catalog, or renew the certificate.`,
    );
  }
  if (code === '53300') {
    return failure(
      Cause.TargetBusy,
      `${server} has no connection left for "${login.username}"; it is tried again. Raise the role's CONNECTION LIMIT or the server's max_connections, or end idle sessions.`,
    );
  }
  if (code === '08P01') {
    return failure(
      Cause.TargetUnavailable,
      `${server} refuses the connection's parameters (08P01). If that is PgBouncer, let the catalog's secret name PostgreSQL itself.`,
    );
  }
  return failure(Cause.TargetUnavailable, `${server} cannot be reached (${code || 'connection timed out or closed'}).`);
}

/** Why a statement failed. The server's message and detail are not passed on: they may quote the statement. */
export function statementFailure(error: unknown, operation: string, login: PostgresLogin): ApplicationFailure {
  const { code = '' } = asPgError(error);
  const server = serverOf(login);
  if (code === '42501') {
    return failure(
      Cause.PermissionDenied,
      `${server} does not let "${login.username}" ${operation}. Name an adminSecret in the catalog whose login has CREATEROLE and ADMIN OPTION on the roles concerned.`,
    );
  }
  if (code === '25006') {
    return failure(
      Cause.PermissionDenied,
      `${server} lets "${login.username}" only read, so it cannot ${operation} (25006). If it is a standby, name the primary in the secret; otherwise name an adminSecret in the catalog.`,
    );
  }
  if (code === '42704') {
    return failure(Cause.SecretUnusable, `${server} cannot ${operation}: a role that is named does not exist.`);
  }
  // Somebody else holds a lock on the role (55P03 lock timeout, 57014 statement timeout), or changes it in this moment (XX000
  // 'tuple concurrently updated').
  if (['55P03', '57014', 'XX000'].includes(code)) {
    return failure(Cause.TargetBusy, `${server} could not ${operation} because others hold the role (${code}).`);
  }
  // Connection lost (no code, or Node's), 08 connection exception, 53 out of resources, 57 operator intervention (shutdown), 40
  // serialisation (PostgreSQL manual, 'PostgreSQL Error Codes').
  if (code === '' || /^E[A-Z]/.test(code) || /^(08|53|57|40)/.test(code)) {
    return failure(
      Cause.TargetUnavailable,
      `${server} did not say whether it could ${operation} (${code || 'connection lost'}).`,
    );
  }
  return failure(Cause.Unexpected, `${server} refuses to ${operation} (SQLSTATE ${code}).`);
}
