import { Cause } from '../../rotation/errors';
import type { LabelMove, SecretInspection } from '../../rotation/types';
import { protect } from '../boundary/activity-scope';
import { failure } from '../failures';
import type { StepInput } from '../step-input';
import { composeCandidate } from './candidate';
import type { CandidateRules } from './candidate';
import { isStaged } from './staged-candidate';
import { MAX_SECRET_BYTES } from './store';
import type { SecretStore } from './store';

export interface InspectSecretInput extends StepInput {
  /** A secret that is scheduled for deletion is no reason to refuse. */
  deletedToo?: boolean;
  /** The version that Secrets Manager's own rotation expects; without it, a secret that AWS rotates is refused. */
  versionId?: string;
}

export interface CreateCandidateInput extends StepInput, CandidateRules {
  /** The VersionId that the candidate gets, which is also the ClientRequestToken. */
  versionId: string;
  /** The version that the candidate is made from; absent when the secret is new. */
  currentVersionId?: string;
  /** False when the secret has to be created. */
  exists: boolean;
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
