import type { ApiKeyTarget } from '../activities/api-keys/key-store';
import type { ApiKeyPlan } from '../rotation/plan';
import type { RotationContext } from './saga/step';
import { currentOf } from './secret-steps';

type ApiKeyContext = RotationContext<ApiKeyPlan>;

/** What every activity for a key is told. */
export function aboutKey(context: ApiKeyContext): {
  versionId: string;
  currentVersionId: string;
  target: ApiKeyTarget;
} {
  const { plan, candidate } = context;
  return {
    versionId: candidate,
    currentVersionId: currentOf(context),
    target: { provider: plan.provider, fields: plan.fields, secondarySecretId: plan.secondarySecretId },
  };
}

/** There is an old key that the provider can be asked about. */
export const usesOldKey = ({ keys }: ApiKeyContext): boolean => keys.old !== undefined;

/** Applications have the new key this long before the provider ends the old one. */
const EXPIRY_MARGIN_MS = 3_600_000;

/** The latest that a grace period can end, in milliseconds since the epoch, where the provider itself ends the old key. */
export const oldExpiry = ({ keys }: ApiKeyContext): number =>
  keys.oldExpiresAt === undefined ? Infinity : keys.oldExpiresAt - EXPIRY_MARGIN_MS;
