import {
  CreateSecretCommand,
  DeleteSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  RestoreSecretCommand,
  TagResourceCommand,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import type { DescribeSecretCommandOutput, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../rotation/errors';
import type { LabelMove, SecretInspection, StagingLabels } from '../../rotation/types';
import { outsideCall, protect } from '../boundary/activity-scope';
import { circuitBreakerFor } from '../circuit-breaker';
import { failure } from '../failures';
import { errorNameOf } from '../aws-errors';
import { toFailure } from './aws-errors';

/** Secrets Manager's limit for one value, in bytes (AWS: 'AWS Secrets Manager quotas'). */
export const MAX_SECRET_BYTES = 65_536;

const LABEL = { current: 'AWSCURRENT', previous: 'AWSPREVIOUS', pending: 'AWSPENDING' } as const;

/** A value and the version that holds it. */
export interface SecretVersion {
  versionId: string;
  text: string;
}

/** What a new secret is given besides its value. */
export interface SecretAbout {
  description?: string;
  /** The KMS key that encrypts it; the account's own for Secrets Manager when absent. */
  kmsKeyId?: string;
  tags?: Record<string, string>;
}

/** A secret as it is, whoever rotates it and whatever is planned with it. */
export interface SecretDescription {
  labels: StagingLabels;
  scheduledForDeletion: boolean;
  about: SecretAbout;
}

export interface InspectOptions {
  /** Also a secret that is scheduled for deletion. */
  deletedToo?: boolean;
  /** The version for which Secrets Manager's own rotation has asked. */
  expectedByAws?: string;
}

/** The secret store in the words of a rotation. Every value that it returns is registered for redaction. */
export interface SecretStore {
  /**
   * Where the labels are. @throws ForeignRotation when AWS rotates the secret itself, SecretUnusable when it is being deleted.
   *
   * VersionNotExpected when AWS was said to rotate it, and does not expect the version.
   */
  inspect(secretId: string, options?: InspectOptions): Promise<SecretInspection>;
  /** What there is besides values; `undefined` when there is no such secret. */
  describe(secretId: string): Promise<SecretDescription | undefined>;
  /** One version's text by its VersionId; `undefined` when there is no such secret or version. */
  findVersion(secretId: string, versionId: string): Promise<string | undefined>;
  /** The text of a version that is known to exist. @throws NotYetVisible when it is not found, SecretUnusable when binary or empty. */
  readVersion(secretId: string, versionId: string): Promise<string>;
  /** What a reader who asks for AWSCURRENT gets now. */
  readCurrent(secretId: string): Promise<SecretVersion>;
  /** Creates the secret with its first version, which is AWSCURRENT from the start. Repeating it with the same VersionId is harmless. */
  create(secretId: string, versionId: string, text: string, about?: SecretAbout): Promise<void>;
  /** Adds a version labelled AWSPENDING. Repeating it with the same VersionId is harmless. */
  putPending(secretId: string, versionId: string, text: string): Promise<void>;
  /**
   * Moves labels, each from where it is expected. One that is at its end already is left alone.
   * @throws LabelsMoved when AWSCURRENT is elsewhere: somebody moved it. AWSPREVIOUS and AWSPENDING are then left where they are.
   */
  moveLabels(secretId: string, moves: LabelMove[]): Promise<void>;
  /** Sets tags, which everybody who may list secrets can read. */
  tag(secretId: string, tags: Record<string, string>): Promise<void>;
  /** Deletes a secret at once, without a recovery window. */
  deleteNow(secretId: string): Promise<void>;
  /** Schedules a secret for deletion after the longest time that there is, 30 days. */
  scheduleDeletion(secretId: string): Promise<void>;
  /** Keeps a secret that is scheduled for deletion. */
  cancelDeletion(secretId: string): Promise<void>;
}

function labelsOf(secret: DescribeSecretCommandOutput): StagingLabels {
  const versionWith = (label: string) =>
    Object.entries(secret.VersionIdsToStages ?? {}).find(([, stages]) => stages.includes(label))?.[0];
  return {
    current: versionWith(LABEL.current),
    previous: versionWith(LABEL.previous),
    pending: versionWith(LABEL.pending),
  };
}

/** @param client its own retries stay short: the waiting is Temporal's. */
export function createSecretStore(client: Pick<SecretsManagerClient, 'send'>): SecretStore {
  const breaker = circuitBreakerFor('Secrets Manager');

  async function call<T>(secretId: string, operation: string, send: () => Promise<T>): Promise<T> {
    return breaker(() =>
      outsideCall('secretsmanager', operation, async () => {
        try {
          return await send();
        } catch (error) {
          throw toFailure(error, secretId, operation);
        }
      }),
    );
  }

  /** Like {@link call}, but `undefined` when AWS says that there is no such thing. */
  async function lookUp<T>(secretId: string, operation: string, send: () => Promise<T>): Promise<T | undefined> {
    return call(secretId, operation, async () => {
      try {
        return await send();
      } catch (error) {
        if (errorNameOf(error) === 'ResourceNotFoundException') return undefined;
        throw error;
      }
    });
  }

  const describe = (secretId: string) =>
    lookUp(secretId, 'DescribeSecret', () => client.send(new DescribeSecretCommand({ SecretId: secretId })));

  async function whereIs(secretId: string, label: keyof StagingLabels): Promise<string | undefined> {
    const secret = await describe(secretId);
    return secret && labelsOf(secret)[label];
  }

  async function read(secretId: string, which: { VersionId: string } | { VersionStage: string }) {
    const found = await lookUp(secretId, 'GetSecretValue', () =>
      client.send(new GetSecretValueCommand({ SecretId: secretId, ...which })),
    );
    if (!found?.VersionId) return undefined;
    if (found.SecretString === undefined && found.SecretBinary !== undefined) {
      throw failure(
        Cause.SecretUnusable,
        `${secretId} holds a binary value in version ${found.VersionId}; Keyturn rotates text only. It was left as it is. Store the value as SecretString to have it rotated.`,
      );
    }
    return { versionId: found.VersionId, text: protect(found.SecretString ?? '') };
  }

  function mustHold(secretId: string, what: string, found: SecretVersion | undefined): SecretVersion {
    if (!found) throw failure(Cause.SecretUnusable, `${secretId} has no ${what}; nothing was changed.`);
    if (found.text.length === 0) {
      throw failure(
        Cause.SecretUnusable,
        `${secretId} is empty in version ${found.versionId}. It was left as it is. Put a value there, or delete the secret and let Keyturn create it.`,
      );
    }
    return found;
  }

  /** Two attempts at the same step may overlap when a worker was taken for dead: what the other one stored under this ID stays. */
  const unlessStored = (secretId: string, versionId: string, operation: string, send: () => Promise<unknown>) =>
    call(secretId, operation, async () => {
      try {
        await send();
      } catch (error) {
        if (errorNameOf(error) !== 'ResourceExistsException') throw error;
        if ((await read(secretId, { VersionId: versionId })) === undefined) throw error;
      }
    });

  /**
   * One label's move, with both ends named, so that Secrets Manager refuses it when the label is elsewhere. The move is tried before
   * the labels are looked at: what is read may be older than what was written (AWS: 'eventual consistency').
   */
  async function moveLabel(secretId: string, { label, from, to }: LabelMove): Promise<void> {
    const parameters = {
      SecretId: secretId,
      VersionStage: LABEL[label],
      RemoveFromVersionId: from,
      MoveToVersionId: to,
    };
    // A label put on from nowhere names one end only, so nothing would refuse to put it on twice.
    if (from === undefined && (await whereIs(secretId, label)) === to) return;
    try {
      await call(secretId, 'UpdateSecretVersionStage', () =>
        client.send(new UpdateSecretVersionStageCommand(parameters)),
      );
    } catch (error) {
      if (!(error instanceof ApplicationFailure) || error.type !== Cause.SecretUnusable) throw error;
      const at = await whereIs(secretId, label);
      if (at === to || label !== 'current') return;
      throw failure(
        Cause.LabelsMoved,
        `${LABEL[label]} of ${secretId} is on version ${at ?? 'none'}, where this rotation did not put it; it was left there. Somebody else changes this secret: agree with them, then move the label by hand or rotate again.`,
      );
    }
  }

  return {
    async inspect(secretId, { deletedToo = false, expectedByAws } = {}) {
      const secret = await describe(secretId);
      if (!secret && expectedByAws === undefined) return { exists: false, labels: {} };
      if (!secret) throw failure(Cause.SecretUnusable, `${secretId} does not exist in Secrets Manager.`);
      if (secret.DeletedDate && !deletedToo) {
        throw failure(
          Cause.SecretUnusable,
          `${secretId} is scheduled for deletion; nothing was changed. To keep it: aws secretsmanager restore-secret --secret-id ${secretId}`,
        );
      }
      if (secret.OwningService) {
        throw failure(
          Cause.ForeignRotation,
          `${secretId} belongs to the AWS service ${secret.OwningService}, which rotates it. It was left as it is; take it out of the catalog.`,
        );
      }
      const labels = labelsOf(secret);
      if (expectedByAws !== undefined) {
        // Any other version may be an old one, whose value must not come back because somebody can invoke the rotation function.
        if (!secret.RotationEnabled || ![labels.pending, labels.current].includes(expectedByAws)) {
          throw failure(
            Cause.VersionNotExpected,
            `Secrets Manager does not expect version ${expectedByAws} of ${secretId}: ${secret.RotationEnabled ? `AWSPENDING is on ${labels.pending ?? 'no version'}` : 'its own rotation is off'}. To start one: aws secretsmanager rotate-secret --secret-id ${secretId}`,
          );
        }
      } else if (secret.RotationEnabled) {
        throw failure(
          Cause.ForeignRotation,
          `AWS rotates ${secretId} itself; two rotators would undo each other's work. Nothing was changed. To hand it to Keyturn: aws secretsmanager cancel-rotate-secret --secret-id ${secretId}`,
        );
      }
      return {
        exists: true,
        arn: secret.ARN,
        kmsKeyId: secret.KmsKeyId,
        labels,
        ...(secret.DeletedDate && { scheduledForDeletion: true }),
      };
    },

    async describe(secretId) {
      const secret = await describe(secretId);
      if (!secret) return undefined;
      const tags = Object.fromEntries((secret.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));
      return {
        labels: labelsOf(secret),
        scheduledForDeletion: secret.DeletedDate !== undefined,
        about: { description: secret.Description, kmsKeyId: secret.KmsKeyId, tags },
      };
    },

    async findVersion(secretId, versionId) {
      return (await read(secretId, { VersionId: versionId }))?.text;
    },

    async readVersion(secretId, versionId) {
      const found = await read(secretId, { VersionId: versionId });
      if (!found)
        throw failure(Cause.NotYetVisible, `${secretId} shows no version ${versionId}; it is looked for again.`);
      return mustHold(secretId, `version ${versionId}`, found).text;
    },

    async readCurrent(secretId) {
      return mustHold(
        secretId,
        `version labelled ${LABEL.current}`,
        await read(secretId, { VersionStage: LABEL.current }),
      );
    },

    async create(secretId, versionId, text, about = {}) {
      const parameters = {
        Name: secretId,
        ClientRequestToken: versionId,
        SecretString: text,
        Description: about.description,
        KmsKeyId: about.kmsKeyId,
        Tags: about.tags && tagsOf(about.tags),
      };
      await unlessStored(secretId, versionId, 'CreateSecret', () => client.send(new CreateSecretCommand(parameters)));
    },

    async putPending(secretId, versionId, text) {
      const parameters = {
        SecretId: secretId,
        ClientRequestToken: versionId,
        SecretString: text,
        VersionStages: [LABEL.pending],
      };
      await unlessStored(secretId, versionId, 'PutSecretValue', () =>
        client.send(new PutSecretValueCommand(parameters)),
      );
    },

    async moveLabels(secretId, moves) {
      for (const move of moves) {
        if (move.from === move.to) continue;
        // A label that is only added is looked for first: Secrets Manager refuses one that is there, and moto attaches it twice.
        if (move.from === undefined && (await whereIs(secretId, move.label)) === move.to) continue;
        await moveLabel(secretId, move);
      }
    },

    async tag(secretId, tags) {
      await call(secretId, 'TagResource', () =>
        client.send(new TagResourceCommand({ SecretId: secretId, Tags: tagsOf(tags) })),
      );
    },

    async deleteNow(secretId) {
      await lookUp(secretId, 'DeleteSecret', () =>
        client.send(new DeleteSecretCommand({ SecretId: secretId, ForceDeleteWithoutRecovery: true })),
      );
    },

    async scheduleDeletion(secretId) {
      await lookUp(secretId, 'DeleteSecret', () =>
        client.send(new DeleteSecretCommand({ SecretId: secretId, RecoveryWindowInDays: 30 })),
      );
    },

    async cancelDeletion(secretId) {
      await call(secretId, 'RestoreSecret', () => client.send(new RestoreSecretCommand({ SecretId: secretId })));
    },
  };
}

function tagsOf(tags: Record<string, string>): { Key: string; Value: string }[] {
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
}
