import { secondarySecretIdOf, secretIdOf } from '../rotation/names';
import type { ApiKeyPlan, ApiKeyProviderPlan, HttpCall, HttpProviderPlan } from '../rotation/plan';
import { apiKeyFields, apiKeyPeriods } from './api-key-defaults';
import type { ApiKeyData, HttpProviderData } from './schema';

/** What a plan says of an API key alone. */
type OfApiKey = Pick<
  ApiKeyPlan,
  | 'secondarySecretId'
  | 'provider'
  | 'fields'
  | 'gracePeriodMs'
  | 'maxGracePeriodMs'
  | 'phaseIn'
  | 'quietPeriodMs'
  | 'onStillUsed'
>;

/** The part of an API key's plan that other types do not have. */
export function apiKeyPlanOf(environment: string, name: string, secret: ApiKeyData): OfApiKey {
  return {
    secondarySecretId: secondarySecretIdOf(secretIdOf(environment, name)),
    provider: providerPlanOf(environment, secret.provider),
    fields: apiKeyFields(secret),
    ...apiKeyPeriods(secret),
    phaseIn: secret.phaseIn.map(({ after, percent }) => ({ afterMs: after, percent })),
    onStillUsed: secret.onStillUsed,
  };
}

function providerPlanOf(environment: string, provider: ApiKeyData['provider']): ApiKeyProviderPlan {
  if (provider.name === 'aws-iam') return { name: provider.name, userName: provider.user };
  return provider.name === 'http' ? httpPlanOf(environment, provider) : provider;
}

function httpPlanOf(environment: string, provider: HttpProviderData): HttpProviderPlan {
  const { create, verify, list } = provider;
  return {
    name: provider.name,
    ...(provider.adminSecret !== undefined && { adminSecretId: secretIdOf(environment, provider.adminSecret) }),
    requestTimeoutMs: provider.requestTimeout,
    settleMs: provider.settle,
    ...(provider.idempotencyHeader !== undefined && { idempotencyHeader: provider.idempotencyHeader }),
    create: { ...callOf(create), idPointer: create.id, valuePointer: create.value },
    verify: { ...callOf(verify), accepted: verify.accepted, refused: verify.refused },
    list: {
      ...callOf(list),
      keysPointer: list.keys,
      idPointer: list.id,
      ...(list.label !== undefined && { labelPointer: list.label }),
      ...(list.createdAt !== undefined && { createdAtPointer: list.createdAt }),
      ...(list.lastUsedAt !== undefined && { lastUsedAtPointer: list.lastUsedAt }),
      ...(list.active !== undefined && { activePointer: list.active }),
    },
    ...(provider.deactivate !== undefined && { deactivate: callOf(provider.deactivate) }),
    ...(provider.reactivate !== undefined && { reactivate: callOf(provider.reactivate) }),
    delete: callOf(provider.delete),
  };
}

function callOf({ method, url, headers, body }: HttpCall): HttpCall {
  return { method, url, headers, ...(body !== undefined && { body }) };
}
