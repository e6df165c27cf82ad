import type { ApplicationFailure } from '@temporalio/common';
import { ListAliasesCommand } from '@aws-sdk/client-kms';
import type { KMSClient } from '@aws-sdk/client-kms';
import { ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { outsideCall } from '../boundary/activity-scope';
import { Cause } from '../../rotation/errors';
import { failure } from '../failures';
import { awsAnswerOf, errorNameOf } from '../aws-errors';
import { toFailure } from '../secrets-manager/aws-errors';

/** Finds out what a KMS key encrypts. */
export interface KmsKeyUses {
  /** The aliases of a key of this account, such as `alias/keyturn`. None when there is no such key. */
  aliases(keyId: string): Promise<string[]>;
  /**
   * The names of all secrets below a name that are encrypted under the key.
   *
   * @param aliases of the key: a secret may name it by one.
   */
  secretsUnder(prefix: string, keyId: string, aliases: readonly string[]): Promise<string[]>;
}

/** The most that one answer of ListSecrets holds (AWS: 'ListSecrets'). */
const PAGE = 100;
/** KMS API Reference, DescribeKey and ListAliases: another account's key, or none. */
const NOT_OURS = new Set(['NotFoundException', 'InvalidArnException']);

export function createKmsKeyUses(
  secretsManager: Pick<SecretsManagerClient, 'send'>,
  kms: Pick<KMSClient, 'send'>,
): KmsKeyUses {
  return {
    async aliases(keyId) {
      const found: string[] = [];
      let Marker: string | undefined;
      do {
        const command = new ListAliasesCommand({ KeyId: keyId, Marker });
        try {
          const page = await outsideCall('kms', 'ListAliases', () => kms.send(command));
          found.push(...(page.Aliases ?? []).flatMap(({ AliasName }) => AliasName ?? []));
          Marker = page.Truncated ? page.NextMarker : undefined;
        } catch (error) {
          if (NOT_OURS.has(errorNameOf(error))) return [];
          throw aliasesFailure(error, keyId);
        }
      } while (Marker);
      return found;
    },

    async secretsUnder(prefix, keyId, aliases) {
      const names = [keyId, ...aliases];
      const isTheKey = (written: string) =>
        names.some((name) => written === name || written.endsWith(`:key/${name}`) || written.endsWith(`:${name}`));
      const found: string[] = [];
      let NextToken: string | undefined;
      do {
        const command = new ListSecretsCommand({
          Filters: [{ Key: 'name', Values: [prefix] }],
          MaxResults: PAGE,
          NextToken,
        });
        try {
          const page = await outsideCall('secretsmanager', 'ListSecrets', () => secretsManager.send(command));
          for (const { Name, KmsKeyId } of page.SecretList ?? []) {
            if (Name !== undefined && KmsKeyId !== undefined && isTheKey(KmsKeyId)) found.push(Name);
          }
          NextToken = page.NextToken;
        } catch (error) {
          throw toFailure(error, `${prefix}*`, 'ListSecrets');
        }
      } while (NextToken);
      return found;
    },
  };
}

function aliasesFailure(error: unknown, keyId: string): ApplicationFailure {
  const name = errorNameOf(error);
  if (awsAnswerOf(error) === 'not-permitted') {
    return failure(
      Cause.PermissionDenied,
      `The worker may not call kms:ListAliases (${name}), so that it is not known what the key ${keyId} encrypts. Grant it to the worker's IAM role.`,
    );
  }
  return failure(Cause.TargetUnavailable, `KMS did not list the aliases of ${keyId} (${name}).`);
}
