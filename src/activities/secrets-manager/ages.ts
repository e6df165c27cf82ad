import {
  DescribeSecretCommand,
  ListSecretsCommand,
  ListSecretVersionIdsCommand,
} from '@aws-sdk/client-secrets-manager';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { createSecretsManagerCalls } from './calls';
import { LABEL } from './staging-labels';

/** When a secret changed, without its value. Times are milliseconds since the epoch. */
export interface SecretAge {
  /** Any change: a version, a label, a tag. Never later than {@link SecretAges.currentSince}. */
  changedAt: number;
  /** It has had another version before. */
  wasRotated: boolean;
}

/** A secret as Secrets Manager lists it. */
export interface ListedSecret {
  secretId: string;
  /** VersionId of AWSCURRENT. */
  current?: string;
  /** Any change, in milliseconds since the epoch. */
  changedAt: number;
}

/** Answers how old secrets are. */
export interface SecretAges {
  /** `undefined` when the secret does not exist. */
  look(secretId: string): Promise<SecretAge | undefined>;
  /** When the version labelled AWSCURRENT was made; `undefined` when there is none. */
  currentSince(secretId: string): Promise<number | undefined>;
  /**
   * One page of the secrets whose names begin with `prefix`, without those that are scheduled for deletion. The list may be five
   * minutes old.
   *
   * @param from the `next` of the page before.
   */
  list(prefix: string, from?: string): Promise<{ secrets: ListedSecret[]; next?: string }>;
}

/** To look up one, DescribeSecret and not ListSecrets, whose answers may be five minutes old (AWS: 'ListSecrets'). */
export function createSecretAges(client: Pick<SecretsManagerClient, 'send'>): SecretAges {
  const { lookUp } = createSecretsManagerCalls();

  return {
    async look(secretId) {
      const found = await lookUp(secretId, 'DescribeSecret', () =>
        client.send(new DescribeSecretCommand({ SecretId: secretId })),
      );
      if (!found) return undefined;
      const labels = Object.values(found.VersionIdsToStages ?? {}).flat();
      const changed = found.LastChangedDate ?? found.CreatedDate;
      return { changedAt: changed?.getTime() ?? 0, wasRotated: labels.includes(LABEL.previous) };
    },

    async currentSince(secretId) {
      let NextToken: string | undefined;
      do {
        const token = NextToken;
        const page = await lookUp(secretId, 'ListSecretVersionIds', () =>
          client.send(new ListSecretVersionIdsCommand({ SecretId: secretId, NextToken: token })),
        );
        const current = page?.Versions?.find(({ VersionStages }) => VersionStages?.includes(LABEL.current));
        if (current) return current.CreatedDate?.getTime();
        NextToken = page?.NextToken;
      } while (NextToken);
      return undefined;
    },

    async list(prefix, from) {
      const page = await lookUp(`${prefix}*`, 'ListSecrets', () =>
        client.send(
          new ListSecretsCommand({ Filters: [{ Key: 'name', Values: [prefix] }], MaxResults: 100, NextToken: from }),
        ),
      );
      const secrets = (page?.SecretList ?? []).flatMap((listed): ListedSecret[] => {
        const { Name: secretId = '', SecretVersionsToStages: labels = {} } = listed;
        if (!secretId.startsWith(prefix)) return [];
        const current = Object.entries(labels).find(([, stages]) => stages.includes(LABEL.current))?.[0];
        const changed = listed.LastChangedDate ?? listed.LastRotatedDate ?? listed.CreatedDate;
        return [{ secretId, current, changedAt: changed?.getTime() ?? 0 }];
      });
      return { secrets, ...(page?.NextToken && { next: page.NextToken }) };
    },
  };
}
