import {
  CreateSecretCommand,
  DeleteSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  RestoreSecretCommand,
  TagResourceCommand,
} from '@aws-sdk/client-secrets-manager';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Cause } from '../../rotation/errors';
import { protect } from '../boundary/activity-scope';
import { circuitBreakerFor } from '../circuit-breaker';
import { failure } from '../failures';
import { errorNameOf } from '../aws-errors';
import { createSecretsManagerCalls } from './calls';
import { inspectionOf } from './inspection';
import { createLabelMoves } from './label-moves';
import { LABEL, labelsOf } from './staging-labels';
import type { SecretStore, SecretVersion } from './store';

/**
 * AWS Secrets Manager as the secret store.
 *
 * @param client its own retries stay short: the waiting is Temporal's.
 */
export function createSecretStore(client: Pick<SecretsManagerClient, 'send'>): SecretStore {
  const { call, lookUp } = createSecretsManagerCalls(circuitBreakerFor('Secrets Manager'));

  const describe = (secretId: string) =>
    lookUp(secretId, 'DescribeSecret', () => client.send(new DescribeSecretCommand({ SecretId: secretId })));

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

  return {
    ...createLabelMoves(client, { call }, async (secretId) => {
      const secret = await describe(secretId);
      return secret && labelsOf(secret);
    }),

    async inspect(secretId, options) {
      return inspectionOf(secretId, await describe(secretId), options);
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
