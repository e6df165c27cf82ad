import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';

/** How long keys are kept; a sender that signs with a newer one is heard at once. */
const KEPT_MS = 5 * 60_000;
/** Both open the door while senders change over, as for every secret that is rotated. */
const LABELS = ['AWSCURRENT', 'AWSPREVIOUS'] as const;
const SHORTEST_KEY_BYTES = 16;
const PREFIX = 'whsec_';

/** The keys that senders sign with: `whsec_` and the base64 of the key, or any other text as it is written. */
export class SigningKeys {
  private kept: { keys: Webhook[]; until: number } | undefined;

  /** @param secretId the name or ARN of the secret. */
  constructor(
    private readonly secretsManager: SecretsManagerClient,
    private readonly secretId: string,
  ) {}

  /**
   * Whether a sender that knows a key has signed this body, in the last five minutes (Standard Webhooks 1.0, 'Verifying webhook
   * authenticity').
   *
   * @throws Error when no key can be read; its message holds no value.
   */
  async haveSigned(body: string, headers: Record<string, string>): Promise<boolean> {
    const fromMemory = this.kept !== undefined && this.kept.until > Date.now();
    if ((await this.keys()).some((key) => hasSigned(key, body, headers))) return true;
    if (!fromMemory) return false;
    this.kept = undefined;
    return (await this.keys()).some((key) => hasSigned(key, body, headers));
  }

  private async keys(): Promise<Webhook[]> {
    if (this.kept && this.kept.until > Date.now()) return this.kept.keys;
    const found = await Promise.all(LABELS.map((label) => this.read(label)));
    const keys = found.filter((key) => key !== undefined);
    if (keys.length === 0) {
      throw new Error(
        `The secret ${this.secretId} holds no signing key of ${SHORTEST_KEY_BYTES} bytes. Nothing was reported. Store one: whsec_ and the output of openssl rand -base64 32`,
      );
    }
    this.kept = { keys, until: Date.now() + KEPT_MS };
    return keys;
  }

  private async read(label: (typeof LABELS)[number]): Promise<Webhook | undefined> {
    try {
      const { SecretString = '' } = await this.secretsManager.send(
        new GetSecretValueCommand({ SecretId: this.secretId, VersionStage: label }),
      );
      return keyOf(SecretString.trim());
    } catch (error) {
      // A secret that was never changed has no version before.
      if (label === 'AWSPREVIOUS' && error instanceof Error && error.name === 'ResourceNotFoundException')
        return undefined;
      throw error;
    }
  }
}

/** A key that anybody could guess is none. */
function keyOf(text: string): Webhook | undefined {
  const bytes = text.startsWith(PREFIX) ? Buffer.from(text.slice(PREFIX.length), 'base64') : Buffer.from(text);
  return bytes.length < SHORTEST_KEY_BYTES ? undefined : new Webhook(bytes, { format: 'raw' });
}

function hasSigned(key: Webhook, body: string, headers: Record<string, string>): boolean {
  try {
    key.verify(body, headers, { jsonParse: false });
    return true;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
}
