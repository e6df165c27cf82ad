import type { KMSClient } from '@aws-sdk/client-kms';
import { DecryptCommand, GenerateDataKeyCommand } from '@aws-sdk/client-kms';
import type { DataKeySource } from './data-keys';

/**
 * Data keys under a KMS key (AWS KMS API reference, GenerateDataKey and Decrypt). The encryption context binds each to
 * its Temporal namespace and shows up in CloudTrail; a policy can require it with
 * `kms:EncryptionContext:keyturn-namespace`.
 */
export function createKmsDataKeySource(kms: KMSClient, keyId: string, namespace: string): DataKeySource {
  const EncryptionContext = { 'keyturn-namespace': namespace };
  return {
    async generate() {
      const answer = await kms.send(
        new GenerateDataKeyCommand({ KeyId: keyId, KeySpec: 'AES_256', EncryptionContext }),
      );
      return { plaintext: present(answer.Plaintext), encrypted: present(answer.CiphertextBlob) };
    },
    async decrypt(encrypted) {
      // No KeyId: after the alias moved, data keys under the key before it stay readable.
      const answer = await kms.send(new DecryptCommand({ CiphertextBlob: encrypted, EncryptionContext }));
      return present(answer.Plaintext);
    },
  };
}

function present(bytes: Uint8Array | undefined): Uint8Array {
  if (!bytes?.length) throw new Error('KMS answered without a key');
  return bytes;
}
