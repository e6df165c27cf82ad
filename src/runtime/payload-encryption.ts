import { KMSClient } from '@aws-sdk/client-kms';
import type { DataConverter } from '@temporalio/common';
import { AWS_CLIENT_OPTIONS } from './aws-client-options';
import type { Config } from './config';
import { DataKeyRing } from './data-keys';
import { createKmsDataKeySource } from './kms-data-keys';
import { createEncryptingCodec } from './payload-codec';
import { StartupError } from './startup-error';

interface PayloadEncryption {
  /** For Temporal's client and worker. */
  dataConverter: DataConverter;
  close(): void;
}

/**
 * What `KEYTURN_PAYLOAD_KMS_KEY` turns on: payloads, failure messages and stack traces are encrypted before they leave
 * this process.
 *
 * @param onRenewalFailed hears why a data key could not be replaced and is used on.
 * @returns `undefined` when it is not turned on.
 * @throws StartupError when the KMS key cannot be used.
 */
export async function openPayloadEncryption(
  config: Config,
  onRenewalFailed: (error: unknown) => void,
): Promise<PayloadEncryption | undefined> {
  const keyId = config.payloadKmsKey;
  if (keyId === undefined) return undefined;
  const kms = new KMSClient(AWS_CLIENT_OPTIONS);
  const keys = new DataKeyRing(createKmsDataKeySource(kms, keyId, config.temporal.namespace), onRenewalFailed);
  try {
    await keys.forEncryption();
  } catch (error) {
    kms.destroy();
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    throw new StartupError(
      `KEYTURN_PAYLOAD_KMS_KEY: the KMS key ${keyId} gives no data key (${reason}). Nothing was started. ` +
        'Check AWS_REGION and that the role may kms:GenerateDataKey and kms:Decrypt with this key.',
    );
  }
  return {
    dataConverter: {
      payloadCodecs: [createEncryptingCodec(keys)],
      failureConverterPath: require.resolve('./encoding-failure-converter'),
    },
    close: () => kms.destroy(),
  };
}
