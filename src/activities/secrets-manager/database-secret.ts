import { Cause } from '../../rotation/errors';
import { SSL_MODES } from '../../rotation/plan';
import type { SslMode } from '../../rotation/plan';
import { protect } from '../boundary/activity-scope';
import { failure } from '../failures';
import { parseJsonSecret } from './json-secret';

/** What `engine` may say of a database secret that Keyturn rotates. */
export const ENGINES = ['postgres', 'postgresql', 'aurora-postgresql'];

/** A database secret as AWS shapes it ('JSON structure of AWS Secrets Manager database credential secrets'). */
export interface DatabaseSecret {
  host: string;
  port: number;
  dbname: string;
  username: string;
  password: string;
  /** What the secret itself says of TLS; the catalog decides when it says nothing. */
  sslMode?: SslMode;
}

/**
 * Reads a database secret's text.
 *
 * @param where names the secret and version in messages.
 * @throws SecretUnusable naming the field that is missing or wrong, never its value.
 */
export function parseDatabaseSecret(text: string, where: string): DatabaseSecret {
  const fields = parseJsonSecret(text, where);
  const refuse = (problem: string) =>
    failure(
      Cause.SecretUnusable,
      `${where} is not a database secret: ${problem}. Expected {engine, host, port, dbname, username, password}. It was left as it is.`,
    );
  const required = (name: string): string => {
    const value = fields[name];
    if (typeof value !== 'string' || value.length === 0) throw refuse(`the field ${name} is missing or not a text`);
    return value;
  };

  if (!ENGINES.includes(required('engine'))) throw refuse(`its engine is none of ${ENGINES.join(', ')}`);
  const port = Number(fields['port'] ?? 5432);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw refuse('the field port is not a port number');
  const username = required('username');
  return {
    host: required('host'),
    port,
    dbname: typeof fields['dbname'] === 'string' && fields['dbname'] ? fields['dbname'] : username,
    username,
    password: protect(required('password')),
    sslMode: sslModeOf(fields, refuse),
  };
}

/** `sslmode` in libpq's words, or AWS's `ssl: true | false`. */
function sslModeOf(fields: Record<string, unknown>, refuse: (problem: string) => Error): SslMode | undefined {
  const { sslmode, ssl } = fields;
  if (sslmode !== undefined) {
    const known = SSL_MODES.find((mode) => mode === sslmode);
    if (!known) throw refuse(`its sslmode is none of ${SSL_MODES.join(', ')} (prefer and allow drop TLS silently)`);
    return known;
  }
  if (ssl === true || ssl === 'true') return 'verify-full';
  if (ssl === false || ssl === 'false') return 'disable';
  return undefined;
}
