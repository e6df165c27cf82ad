import type { IAMClient } from '@aws-sdk/client-iam';
import type { SQSClient } from '@aws-sdk/client-sqs';
import type { ApiKeyPlan } from '../../rotation/plan';
import { parseJsonSecret } from '../secrets-manager/json-secret';
import type { SecretStore } from '../secrets-manager/store';
import { createAmazonSpApiProvider } from './amazon-sp-api/provider';
import { createAwsIamProvider } from './aws-iam';
import { createHttpKeyProviders } from './http/providers';
import type { ApiKeyProvider } from './provider';

export interface ApiKeyProviderDependencies {
  secrets: Pick<SecretStore, 'readCurrent'>;
  /** Must not retry by itself: a repeated CreateAccessKey makes a second key. */
  iam: Pick<IAMClient, 'send'>;
  sqs: SQSClient;
  /** How AWS keys are tried, without credentials. */
  stsOptions: object;
}

/** What a provider needs to know of a secret. */
export type ApiKeySecret = Pick<ApiKeyPlan, 'secretId' | 'provider' | 'fields'>;

export interface ApiKeyProviders {
  /** @param current the fields of the secret's current version, for providers to which the key itself opens the way. */
  open(secret: ApiKeySecret, current: Record<string, unknown>): Promise<ApiKeyProvider>;
}

/** The providers by their names in the catalog. */
export function createApiKeyProviders({ secrets, iam, sqs, stsOptions }: ApiKeyProviderDependencies): ApiKeyProviders {
  const http = createHttpKeyProviders();
  return {
    async open({ secretId, provider, fields }, current) {
      switch (provider.name) {
        case 'aws-iam':
          return createAwsIamProvider(provider, iam, stsOptions, secretId);
        case 'http': {
          const { adminSecretId } = provider;
          const admin = adminSecretId
            ? parseJsonSecret(
                (await secrets.readCurrent(adminSecretId)).text,
                `the current version of ${adminSecretId}`,
              )
            : {};
          return http.open(provider, admin, secretId);
        }
        case 'amazon-sp-api': {
          const clientSecret = current[fields.value];
          return createAmazonSpApiProvider(provider, { clientSecret: String(clientSecret ?? '') }, sqs, secretId);
        }
      }
    },
  };
}
