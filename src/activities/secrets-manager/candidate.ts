import { randomInt } from 'node:crypto';
import { Cause } from '../../rotation/errors';
import { drawPassword } from '../../rotation/password-policy';
import type { PasswordPolicy } from '../../rotation/password-policy';
import { protect } from '../boundary/activity-scope';
import { failure } from '../failures';
import { parseDatabaseSecret } from './database-secret';
import { parseJsonSecret } from './json-secret';

/** What the candidate is made of: which part of the secret is drawn anew, and for a database, which login it is for. */
export type CandidateShape =
  | { kind: 'whole' }
  | { kind: 'field'; field: string }
  | { kind: 'database'; login: 'same' }
  | { kind: 'database'; login: 'other'; logins?: [string, string] };

/** What the candidate is drawn by. */
export interface CandidateRules {
  secretId: string;
  shape: CandidateShape;
  password: PasswordPolicy;
}

/**
 * The candidate's text, with a value drawn anew, which is registered for redaction.
 *
 * @param current the text of the version that it is made from; absent when the secret is new.
 * @throws SecretUnusable when that is not of the shape.
 */
export function composeCandidate({ secretId, shape, password }: CandidateRules, current: string | undefined): string {
  const value = protect(drawPassword(password, (bound) => randomInt(bound)));
  const where = `the current version of ${secretId}`;
  switch (shape.kind) {
    case 'whole':
      return value;
    case 'field': {
      const fields = current === undefined ? {} : parseJsonSecret(current, where);
      if (current !== undefined && typeof fields[shape.field] !== 'string') {
        throw failure(
          Cause.SecretUnusable,
          `${where} has no text in the field ${shape.field}. It was left as it is. Correct the field in the catalog or in the secret.`,
        );
      }
      return JSON.stringify({ ...fields, [shape.field]: value });
    }
    case 'database': {
      if (current === undefined)
        throw failure(Cause.SecretUnusable, `${secretId} has no current version to start from.`);
      const { username } = parseDatabaseSecret(current, where);
      const login = shape.login === 'same' ? username : otherLogin(username, shape.logins, secretId);
      return JSON.stringify({ ...parseJsonSecret(current, where), username: login, password: value });
    }
  }
}

const CLONE = '_clone';

/** PostgreSQL cuts longer names silently (PostgreSQL manual, 'Identifiers and Key Words'), which would name another role. */
const MAX_IDENTIFIER_BYTES = 63;

/** The login that is not in use: the other one of the pair, which by AWS's convention is `{login}_clone`. */
export function otherLogin(username: string, logins: [string, string] | undefined, secretId: string): string {
  if (logins && !logins.includes(username)) {
    throw failure(
      Cause.SecretUnusable,
      `the login in ${secretId} is none of the two that the catalog names (${logins.join(', ')}). It was left as it is.`,
    );
  }
  const other = logins
    ? logins[0] === username
      ? logins[1]
      : logins[0]
    : username.endsWith(CLONE)
      ? username.slice(0, -CLONE.length)
      : username + CLONE;
  if (Buffer.byteLength(other) > MAX_IDENTIFIER_BYTES) {
    throw failure(
      Cause.SecretUnusable,
      `the second login of ${secretId} would have a name of more than ${MAX_IDENTIFIER_BYTES} bytes. It was left as it is. Name both logins in the catalog (logins).`,
    );
  }
  return other;
}
