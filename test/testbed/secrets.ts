import {
  CreateSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  ListSecretsCommand,
  ListSecretVersionIdsCommand,
  PutSecretValueCommand,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import type { CreateSecretCommandInput, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { secretIdOf } from '../../src/rotation/names';
import type { StagingLabels } from '../../src/rotation/types';
import type { Canary } from './value-forms';

/** Secrets Manager as a test looks at it: directly, not through Keyturn. */
export function createSecrets(client: SecretsManagerClient, environment: string) {
  const idOf = (secret: string) => secretIdOf(environment, secret);

  async function value(secret: string, stage = 'AWSCURRENT'): Promise<string> {
    const found = await client.send(new GetSecretValueCommand({ SecretId: idOf(secret), VersionStage: stage }));
    return found.SecretString ?? '';
  }

  async function valueOfVersion(secret: string, versionId: string): Promise<string> {
    const found = await client.send(new GetSecretValueCommand({ SecretId: idOf(secret), VersionId: versionId }));
    return found.SecretString ?? '';
  }

  async function labels(secret: string): Promise<StagingLabels> {
    const { VersionIdsToStages = {} } = await client.send(new DescribeSecretCommand({ SecretId: idOf(secret) }));
    const having = (label: string) => Object.entries(VersionIdsToStages).find(([, on]) => on.includes(label))?.[0];
    return { current: having('AWSCURRENT'), previous: having('AWSPREVIOUS'), pending: having('AWSPENDING') };
  }

  return {
    idOf,
    value,
    valueOfVersion,
    labels,
    /** @returns the VersionId. */
    async create(secret: string, text: string, more: Partial<CreateSecretCommandInput> = {}): Promise<string> {
      const created = await client.send(
        new CreateSecretCommand({
          Name: idOf(secret),
          ...('SecretBinary' in more ? {} : { SecretString: text }),
          ...more,
        }),
      );
      return created.VersionId ?? '';
    },
    /** A version labelled AWSPENDING, as a terminated rotation leaves one. @returns the VersionId. */
    async putPending(secret: string, text: string): Promise<string> {
      const put = await client.send(
        new PutSecretValueCommand({ SecretId: idOf(secret), SecretString: text, VersionStages: ['AWSPENDING'] }),
      );
      return put.VersionId ?? '';
    },
    /** As a person does who moves AWSCURRENT by hand, from wherever it is, and nothing else. */
    async makeCurrent(secret: string, to: string | undefined): Promise<void> {
      const { current } = await labels(secret);
      await client.send(
        new UpdateSecretVersionStageCommand({
          SecretId: idOf(secret),
          VersionStage: 'AWSCURRENT',
          RemoveFromVersionId: current,
          MoveToVersionId: to,
        }),
      );
    },
    /** As a person does who brings a version into use: AWSCURRENT moves, and AWSPENDING is taken off. */
    async moveCurrent(secret: string, from: string, to: string): Promise<void> {
      const SecretId = idOf(secret);
      const move = (VersionStage: string, RemoveFromVersionId: string, MoveToVersionId?: string) =>
        client.send(
          new UpdateSecretVersionStageCommand({ SecretId, VersionStage, RemoveFromVersionId, MoveToVersionId }),
        );
      await move('AWSCURRENT', from, to);
      await move('AWSPENDING', to);
    },
    async versionIds(secret: string): Promise<string[]> {
      const { Versions = [] } = await client.send(
        new ListSecretVersionIdsCommand({ SecretId: idOf(secret), IncludeDeprecated: true, MaxResults: 100 }),
      );
      return Versions.map(({ VersionId }) => VersionId ?? '');
    },
    /** Every secret part of every version of every secret of the environment. */
    async everyValue(): Promise<Canary[]> {
      const values: Canary[] = [];
      let NextToken: string | undefined;
      do {
        const page = await client.send(
          new ListSecretsCommand({
            Filters: [{ Key: 'name', Values: [`${environment}/`] }],
            MaxResults: 100,
            NextToken,
          }),
        );
        for (const { Name = '' } of page.SecretList ?? []) {
          const secret = Name.slice(environment.length + 1);
          for (const versionId of await this.versionIds(secret)) {
            values.push(...canariesOf(await valueOfVersion(secret, versionId).catch(() => ''), versionId));
          }
        }
        NextToken = page.NextToken;
      } while (NextToken);
      return values;
    },
  };
}

export type Secrets = ReturnType<typeof createSecrets>;

/** Where API keys have their value; the other fields of their secrets are public. */
const KEY_FIELDS = ['key', 'secretAccessKey', 'clientSecret'];

/** The text of a version, and its secret parts: of a database secret only the password, of an API key's only the key, of other JSON every text. */
export function canariesOf(text: string, versionId: string): Canary[] {
  const whole = { value: text, versionId };
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return [whole];
  }
  if (typeof parsed !== 'object' || parsed === null) return [whole];
  for (const field of KEY_FIELDS) {
    if (field in parsed) return [whole, { value: String((parsed as Record<string, unknown>)[field]), versionId }];
  }
  if ('keyturn' in parsed) return [];
  if (!('password' in parsed)) return [whole, ...[...textsIn(parsed)].map((value) => ({ value, versionId }))];
  const { password, username } = parsed as { password: unknown; username?: unknown };
  return [whole, { value: String(password), versionId, username: String(username) }];
}

function* textsIn(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) yield* textsIn(part);
}
