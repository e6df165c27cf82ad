import { randomInt } from 'node:crypto';
import { Cause } from '../../rotation/errors';
import { drawPassword } from '../../rotation/password-policy';
import type { PasswordPolicy } from '../../rotation/password-policy';
import type { LabelMove, SecretInspection } from '../../rotation/types';
import { protect } from '../boundary/activity-scope';
import { failure } from '../failures';
import type { StepInput } from '../step-input';
import { parseDatabaseSecret } from './database-secret';
import { parseJsonSecret } from './json-secret';
import { MAX_SECRET_BYTES } from './store';
import type { SecretStore } from './store';

/** What the candidate is made of: which part of the secret is drawn anew, and for a database, which login it is for. */
export type CandidateShape =
  | { kind: 'whole' }
  | { kind: 'field'; field: string }
  | { kind: 'database'; login: 'same' }
  | { kind: 'database'; login: 'other'; logins?: [string, string] };

export interface InspectSecretInput extends StepInput {
  /** A secret that is scheduled for deletion is no reason to refuse. */
  deletedToo?: boolean;
  /** The version that Secrets Manager's own rotation expects; without it, a secret that AWS rotates is refused. */
  versionId?: string;
}

export interface CreateCandidateInput extends StepInput {
  /** The VersionId that the candidate gets, which is also the ClientRequestToken. */
  versionId: string;
  /** The version that the candidate is made from; absent when the secret is new. */
  currentVersionId?: string;
  /** False when the secret has to be created. */
  exists: boolean;
  shape: CandidateShape;
  password: PasswordPolicy;
  description?: string;
}

export interface MoveLabelsInput extends StepInput {
  /** The version whose promotion or undoing this is, for the audit trail. */
  versionId: string;
  moves: LabelMove[];
}

export interface DiscardCreatedSecretInput extends StepInput {
  versionId: string;
}

export function createSecretsManagerActivities(secrets: SecretStore) {
  return {
    async inspectSecret({ secretId, deletedToo, versionId }: InspectSecretInput): Promise<SecretInspection> {
      const found = await secrets.inspect(secretId, { deletedToo, expectedByAws: versionId });
      if (versionId === undefined || found.labels.current === versionId) return found;
      const stored = (await secrets.findVersion(secretId, versionId)) !== undefined;
      return { ...found, ...(stored && { candidateStored: true }) };
    },

    /** Makes the candidate durable before any target hears of it. On a retry the stored one is kept, never drawn anew. */
    async createCandidate(input: CreateCandidateInput): Promise<void> {
      const { secretId, versionId, currentVersionId, exists } = input;
      if (await isStaged(secrets, secretId, versionId)) return;
      const current = currentVersionId ? await secrets.readVersion(secretId, currentVersionId) : undefined;
      const text = protect(composeCandidate(input, current));
      const bytes = Buffer.byteLength(text);
      if (bytes > MAX_SECRET_BYTES) {
        throw failure(
          Cause.SecretUnusable,
          `the new version of ${secretId} would have ${bytes} bytes; Secrets Manager holds ${MAX_SECRET_BYTES} at most. It was left as it is. Shorten the secret's other fields or the value's length in the catalog.`,
        );
      }
      if (exists) await secrets.putPending(secretId, versionId, text);
      else await secrets.create(secretId, versionId, text, { description: input.description });
    },

    /** Moves staging labels: to promote, to swap back, to discard a candidate, to stage an old version. */
    async moveLabels({ secretId, moves }: MoveLabelsInput): Promise<void> {
      await secrets.moveLabels(secretId, moves);
    },

    /** Deletes the secret that this rotation created, and only that: one whose labels say that it was changed since is left alone. */
    async discardCreatedSecret({ secretId, versionId }: DiscardCreatedSecretInput): Promise<void> {
      const { exists, labels } = await secrets.inspect(secretId);
      if (!exists) return;
      if (labels.current !== versionId || labels.previous) {
        throw failure(
          Cause.SecretUnusable,
          `${secretId} was created by this rotation and has been changed by someone else since; it was not deleted.`,
        );
      }
      await secrets.deleteNow(secretId);
    },
  };
}

/** Whether the candidate is stored already; one that lost its label, to a reset or to a terminated rotation, gets it back. */
export async function isStaged(secrets: SecretStore, secretId: string, versionId: string): Promise<boolean> {
  if ((await secrets.findVersion(secretId, versionId)) === undefined) return false;
  const { pending, current } = (await secrets.describe(secretId))?.labels ?? {};
  if (current !== versionId && pending !== versionId) {
    await secrets.moveLabels(secretId, [{ label: 'pending', from: pending, to: versionId }]);
  }
  return true;
}

function composeCandidate({ secretId, shape, password }: CreateCandidateInput, current: string | undefined): string {
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
