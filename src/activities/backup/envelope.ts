import { buildClient, CommitmentPolicy, KeyringNode, KmsKeyringNode } from '@aws-crypto/client-node';
import type { EncryptedDataKey, NodeDecryptionMaterial, NodeEncryptionMaterial } from '@aws-crypto/client-node';
import { DecryptCommand, DescribeKeyCommand, EncryptCommand, GenerateDataKeyCommand } from '@aws-sdk/client-kms';
import type {
  DecryptCommandInput,
  EncryptCommandInput,
  GenerateDataKeyCommandInput,
  KMSClient,
} from '@aws-sdk/client-kms';
import { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../rotation/errors';
import { backupUrl } from '../../rotation/backup';
import type { BackupReference } from '../../rotation/backup';
import { outsideCall } from '../boundary/activity-scope';
import { failure } from '../failures';
import { errorNameOf } from '../aws-errors';
import { backupFailure } from './aws-errors';

/** The names in a backup's encryption context; a key policy can require them with `kms:EncryptionContext:keyturn-environment`. */
const CONTEXT = { environment: 'keyturn-environment', time: 'keyturn-backup-time' } as const;

/** Encrypts and decrypts backups under a KMS key, with the AWS Encryption SDK. */
export interface BackupEnvelope {
  /** The key that an alias names now. @throws BackupNotConfigured when there is none that encrypts. */
  keyArnOf(alias: string): Promise<string>;
  seal(plaintext: string, about: Pick<BackupReference, 'environment' | 'time' | 'keyArn'>): Promise<Uint8Array>;
  /**
   * Decrypts and verifies a whole backup; nothing of it is returned before its last byte was verified.
   *
   * @throws BackupForeign, BackupContextWrong, BackupWrongKey, BackupTruncated, BackupDamaged
   */
  open(ciphertext: Uint8Array, backup: BackupReference): Promise<string>;
}

/** Key commitment is required both ways (AWS Encryption SDK Developer Guide, 'Setting your commitment policy'). */
const { encrypt, decrypt } = buildClient({
  commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
  maxEncryptedDataKeys: 1,
});

type KmsCalls = Pick<KMSClient, 'send'>;

export function createBackupEnvelope(kms: KmsCalls): BackupEnvelope {
  return {
    async keyArnOf(alias) {
      const { KeyMetadata } = await outsideCall('kms', 'DescribeKey', async () => {
        try {
          return await kms.send(new DescribeKeyCommand({ KeyId: alias }));
        } catch (error) {
          if (errorNameOf(error) !== 'NotFoundException') {
            throw backupFailure(error, 'kms:DescribeKey', alias, Cause.BackupNotConfigured);
          }
          throw failure(
            Cause.BackupNotConfigured,
            `KMS has no key ${alias} in the worker's account and region. Nothing was done. Create it, or correct backup.kmsKey in the catalog.`,
          );
        }
      });
      if (KeyMetadata?.Arn !== undefined && KeyMetadata.KeyState === 'Enabled') return KeyMetadata.Arn;
      throw failure(
        Cause.BackupNotConfigured,
        `The KMS key ${alias} is ${KeyMetadata?.KeyState ?? 'in an unknown state'} and cannot be used. Nothing was done. Enable it, or let the alias name another one.`,
      );
    },

    async seal(plaintext, { environment, time, keyArn }) {
      const { keyring, failed } = keyringOf(kms, keyArn);
      try {
        const { result } = await encrypt(keyring, plaintext, {
          encryptionContext: { [CONTEXT.environment]: environment, [CONTEXT.time]: time },
        });
        return result;
      } catch (error) {
        throw failed() ?? error;
      }
    },

    async open(ciphertext, backup) {
      const { keyring, failed } = keyringOf(kms, backup.keyArn);
      const checking = new CheckingKeyring(keyring, backup);
      try {
        const { plaintext } = await decrypt(checking, ciphertext);
        return plaintext.toString('utf8');
      } catch (error) {
        throw checking.refusal ?? failed() ?? unreadable(error, backup);
      }
    },
  };
}

/** A keyring for one key and no other, and what KMS answered to it. */
function keyringOf(kms: KmsCalls, keyArn: string): { keyring: KmsKeyringNode; failed: () => Error | undefined } {
  let failed: Error | undefined;
  const call = <T>(operation: string, send: () => Promise<T>) =>
    outsideCall('kms', operation, send).catch((error: unknown) => {
      // The key is the right one, and what it is to decrypt is damaged.
      if (errorNameOf(error) === 'InvalidCiphertextException') throw error;
      failed = backupFailure(error, `kms:${operation}`, `the key ${keyArn}`, Cause.BackupWrongKey);
      throw failed;
    });
  // All three are asked for by the keyring; the type of its own interface is the SDK's of three major versions.
  const client = {
    generateDataKey: (input: GenerateDataKeyCommandInput) =>
      call('GenerateDataKey', () => kms.send(new GenerateDataKeyCommand(input))),
    encrypt: (input: EncryptCommandInput) => call('Encrypt', () => kms.send(new EncryptCommand(input))),
    decrypt: (input: DecryptCommandInput) => call('Decrypt', () => kms.send(new DecryptCommand(input))),
  };
  return {
    keyring: new KmsKeyringNode({ generatorKeyId: keyArn, clientProvider: () => client }),
    failed: () => failed,
  };
}

/** Looks at what a message says of itself before KMS is asked; the decryption then proves that it says the truth. */
class CheckingKeyring extends KeyringNode {
  refusal?: ApplicationFailure;

  constructor(
    private readonly keyring: KmsKeyringNode,
    private readonly backup: BackupReference,
  ) {
    super();
  }

  async _onEncrypt(material: NodeEncryptionMaterial): Promise<NodeEncryptionMaterial> {
    return this.keyring.onEncrypt(material) as Promise<NodeEncryptionMaterial>;
  }

  async _onDecrypt(material: NodeDecryptionMaterial, keys: EncryptedDataKey[]): Promise<NodeDecryptionMaterial> {
    this.refusal = refusalOf(material.encryptionContext, keys, this.backup);
    if (this.refusal) throw this.refusal;
    return this.keyring.onDecrypt(material, keys) as Promise<NodeDecryptionMaterial>;
  }
}

const NOTHING = 'Nothing was changed.';

function refusalOf(
  context: Readonly<Record<string, string>>,
  keys: EncryptedDataKey[],
  backup: BackupReference,
): ApplicationFailure | undefined {
  const url = backupUrl(backup);
  const environment = context[CONTEXT.environment];
  const time = context[CONTEXT.time];
  if (environment === undefined || time === undefined) {
    return failure(
      Cause.BackupContextWrong,
      `${url} was not made by Keyturn: its encryption context lacks ${environment === undefined ? CONTEXT.environment : CONTEXT.time}. ${NOTHING}`,
    );
  }
  if (environment !== backup.environment) {
    return failure(
      Cause.BackupForeign,
      `${url} is a backup of the environment ${environment}, not of ${backup.environment}. ${NOTHING} A backup is only restored into its own environment.`,
    );
  }
  if (time !== backup.time) {
    return failure(
      Cause.BackupContextWrong,
      `${url} is named after the time ${backup.time}, but was taken at ${time}: somebody renamed or replaced it. ${NOTHING} Copy it back under its own name if that is what you want.`,
    );
  }
  const underKey = keys.map(({ providerInfo }) => providerInfo).join(', ');
  if (underKey === backup.keyArn) return undefined;
  return failure(
    Cause.BackupWrongKey,
    `${url} is under the KMS key ${underKey}, and the one to expect is ${backup.keyArn}. ${NOTHING} If the alias has moved since the backup was taken, and that key is yours, say so: keyturn restore … --kms-key ${underKey}`,
  );
}

/** What the Encryption SDK says when a message ends before its time; all else that it finds is damage. */
const ENDS_EARLY = /incomplete|unknown format|unexpected end|premature/i;

function unreadable(error: unknown, backup: BackupReference): Error {
  const passing = error instanceof ApplicationFailure && !error.nonRetryable;
  if (passing) return error;
  const url = backupUrl(backup);
  const told = error instanceof Error ? error.message : '';
  if (ENDS_EARLY.test(told)) {
    return failure(
      Cause.BackupTruncated,
      `${url} ends before the backup does: half of an upload, or half of a copy. ${NOTHING} Take another backup, or an earlier version of the object.`,
    );
  }
  return failure(
    Cause.BackupDamaged,
    `${url} is not what was stored: it does not verify. ${NOTHING} Take another backup, or an earlier version of the object, and find out who wrote to the bucket.`,
  );
}
