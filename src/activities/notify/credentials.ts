import type { CredentialSource } from '../../rotation/notifications';
import { protect } from '../boundary/activity-scope';
import { parseJsonSecret } from '../secrets-manager/json-secret';
import type { SecretStore } from '../secrets-manager/store';
import { never } from './refusals';

/** Where channels' credentials come from. */
export interface CredentialStores {
  secrets: Pick<SecretStore, 'readCurrent'>;
  /** The worker's environment variables. */
  env: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads a channel's credential and registers it for redaction.
 *
 * @throws ChannelRefused when there is none where the catalog says, and what the secret store throws.
 */
export async function readCredential(
  source: CredentialSource,
  channel: string,
  { secrets, env }: CredentialStores,
): Promise<string> {
  if (source.kind === 'env') {
    const value = protect(env[source.name]?.trim() ?? '');
    if (value !== '') return value;
    throw never(
      channel,
      `the environment variable ${source.name} is not set on the worker`,
      'Set it, and restart the worker.',
    );
  }
  const { secretId, field } = source;
  const { text } = await secrets.readCurrent(secretId);
  if (field === undefined) return protect(text.trim());
  const fields = parseJsonSecret(text, secretId);
  const value = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (typeof value === 'string' && value !== '') return protect(value);
  throw never(
    channel,
    `${secretId} has no text in its field ${field}`,
    'Put it there, or correct field in the catalog.',
  );
}
