import { refuseFullAccount } from '../../activities/api-keys/account';
import { redact } from '../../activities/boundary/activity-scope';
import { credentialOf } from '../../activities/api-keys/credential';
import type { ApiKeyCredential, ApiKeyProvider } from '../../activities/api-keys/provider';
import type { ApiKeyProviders } from '../../activities/api-keys/providers';
import { parseJsonSecret } from '../../activities/secrets-manager/json-secret';
import type { SecretStore } from '../../activities/secrets-manager/store';
import { Cause } from '../../rotation/errors';
import type { ApiKeyPlan } from '../../rotation/plan';
import { checkSecondary } from './api-key-secondary-check';
import type { IsRotating } from './api-key-secondary-check';
import type { Check } from './check';
import { check, failed, failedBy, ok, skipped, warning } from './check';

export interface ApiKeyAccess {
  secrets: Pick<SecretStore, 'inspect' | 'readCurrent'>;
  providers: ApiKeyProviders;
  isRotating: IsRotating;
}

/** Whether the provider answers, accepts the current key, and has room for a new one. No key is made, changed or deleted. */
export async function checkApiKey(access: ApiKeyAccess, plan: ApiKeyPlan): Promise<Check[]> {
  const { secretId } = plan;
  const names = { provider: `provider of ${secretId}`, key: `key of ${secretId}` };
  const secondary = await checkSecondary(access.secrets, access.isRotating, plan);
  let provider: ApiKeyProvider;
  let current: ApiKeyCredential;
  try {
    const where = `the current version of ${secretId}`;
    const { text } = await access.secrets.readCurrent(secretId);
    current = credentialOf(plan.fields, text, where);
    provider = await access.providers.open(plan, parseJsonSecret(text, where));
  } catch (error) {
    return [failedBy(names.provider, error), skipped(names.key, 'needs its provider'), secondary.check];
  }
  return [
    await check(names.provider, () => lookAtKeys(names.provider, provider, plan, current.id, secondary.keyId), REACH),
    await check(names.key, () => tryKey(names.key, provider, secretId, current), REACH),
    secondary.check,
    permissions(plan),
  ];
}

const REACH = {
  [Cause.TargetUnavailable]: "Check the provider's address in the catalog, and the network between here and it.",
};

async function tryKey(
  name: string,
  provider: ApiKeyProvider,
  secretId: string,
  current: ApiKeyCredential,
): Promise<Check> {
  const which = current.id === undefined ? 'the current key' : `the current key ${redact(current.id)}`;
  return (await provider.verify(current)) === 'accepted'
    ? ok(name, `${which} is accepted`)
    : failed(
        name,
        `${which} is refused`,
        `Store a key that works in ${secretId}: a rotation only starts from one that does.`,
      );
}

async function lookAtKeys(
  name: string,
  provider: ApiKeyProvider,
  plan: ApiKeyPlan,
  currentId: string | undefined,
  secondaryId: string | undefined,
): Promise<Check> {
  const who = plan.provider.name === 'aws-iam' ? `the IAM user ${plan.provider.userName}` : plan.provider.name;
  if (!provider.list) return skipped(name, `${who} cannot list its keys; whether it answers shows with the key`);
  const keys = await provider.list();
  const blind =
    plan.quietPeriodMs > 0 && !provider.lastUsed
      ? '; it cannot tell when a key was last used, so the old one is retired without asking'
      : '';
  const count = keys.length === 1 ? '1 key' : `${keys.length} keys`;
  const found = `${who} has ${count}${provider.mostKeys === undefined ? '' : ` of at most ${provider.mostKeys}`}${blind}`;
  if (currentId !== undefined && !keys.some(({ id }) => id === currentId)) {
    return warning(
      name,
      `${found}, and ${redact(currentId)}, the current key of ${plan.secretId}, is not among them`,
      `Correct the ID in the field ${plan.fields.id} of ${plan.secretId}, or whose keys the catalog names.`,
    );
  }
  // The key of a rotation in its grace period makes room for itself again.
  if (secondaryId === undefined || !keys.some(({ id }) => id === secondaryId)) {
    try {
      refuseFullAccount(provider, keys, plan.secretId);
    } catch (error) {
      return { ...failedBy(name, error), state: 'warning' };
    }
  }
  return ok(name, found);
}

function permissions({ secretId, secondarySecretId, provider }: ApiKeyPlan): Check {
  const iam =
    provider.name === 'aws-iam'
      ? `iam:CreateAccessKey, ListAccessKeys, GetAccessKeyLastUsed, UpdateAccessKey and DeleteAccessKey on the user ${provider.userName}, and `
      : '';
  return skipped(
    `write permissions of ${secretId}`,
    'not tried: that would make or change a key',
    `The worker needs ${iam}secretsmanager:CreateSecret, PutSecretValue, UpdateSecretVersionStage, TagResource and DeleteSecret on ${secondarySecretId}.`,
  );
}
