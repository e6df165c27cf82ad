import { randomBytes } from 'node:crypto';
import {
  DescribeSecretCommand,
  GetRandomPasswordCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  ResourceNotFoundException,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Client } from 'pg';

export interface Credential {
  host: string;
  port: number;
  dbname: string;
  username: string;
  password: string;
}

/** A stage or a version, as GetSecretValue takes them. */
export interface Which {
  VersionId?: string;
  VersionStage?: string;
}

/**
 * The calls to Secrets Manager and PostgreSQL, made with nothing around them, and a list of what was called, in the words of the
 * audit log.
 */
export function createDirectCalls(client: SecretsManagerClient, SecretId: string) {
  const made: string[] = [];

  async function ask<T>(operation: string, send: () => Promise<T>): Promise<T> {
    const answer = await send();
    made.push(`secretsmanager ${operation} ok`);
    return answer;
  }

  async function login(credential: Credential): Promise<Client | undefined> {
    const { host, port, dbname, username, password } = credential;
    const connection = new Client({ host, port, database: dbname, user: username, password });
    connection.on('error', () => undefined);
    try {
      await connection.connect();
      made.push('postgresql login ok');
      return connection;
    } catch (error) {
      await connection.end().catch(() => undefined);
      if ((error as { code?: string }).code !== '28P01') throw error;
      made.push('postgresql login refused');
      return undefined;
    }
  }

  return {
    made,

    /** Where a label is. */
    async describe(): Promise<(label: string) => string | undefined> {
      const { VersionIdsToStages = {} } = await ask('DescribeSecret', () =>
        client.send(new DescribeSecretCommand({ SecretId })),
      );
      return (label) => Object.entries(VersionIdsToStages).find(([, labels]) => labels.includes(label))?.[0];
    },

    async find(which: Which): Promise<Credential | undefined> {
      return ask('GetSecretValue', async () => {
        try {
          const { SecretString = '' } = await client.send(new GetSecretValueCommand({ SecretId, ...which }));
          return JSON.parse(SecretString) as Credential;
        } catch (error) {
          if (error instanceof ResourceNotFoundException) return undefined;
          throw error;
        }
      });
    },

    /** @throws Error when there is no such version. */
    async read(which: Which): Promise<Credential> {
      const found = await this.find(which);
      if (!found) throw new Error(`${SecretId} has no version ${which.VersionStage ?? which.VersionId}`);
      return found;
    },

    async randomPassword(): Promise<string> {
      const request = new GetRandomPasswordCommand({ PasswordLength: 32, ExcludeCharacters: `:/@"'\\` });
      const { RandomPassword = '' } = await ask('GetRandomPassword', () => client.send(request));
      return RandomPassword;
    },

    async put(versionId: string, credential: Credential): Promise<void> {
      const request = new PutSecretValueCommand({
        SecretId,
        ClientRequestToken: versionId,
        SecretString: JSON.stringify(credential),
        VersionStages: ['AWSPENDING'],
      });
      await ask('PutSecretValue', () => client.send(request));
    },

    async moveLabel(label: string, from: string | undefined, to?: string): Promise<void> {
      const request = new UpdateSecretVersionStageCommand({
        SecretId,
        VersionStage: label,
        RemoveFromVersionId: from,
        MoveToVersionId: to,
      });
      await ask('UpdateSecretVersionStage', () => client.send(request));
    },

    /** Logs in and leaves again. @throws Error unless it goes as expected. */
    async probe(credential: Credential, expected: 'opened' | 'refused'): Promise<void> {
      const session = await login(credential);
      await session?.end();
      if ((session ? 'opened' : 'refused') !== expected) throw new Error(`${SecretId}: a login was not ${expected}`);
    },

    /** Runs statements in one session. */
    async session(credential: Credential, work: (connection: Client) => Promise<unknown>): Promise<void> {
      const session = await login(credential);
      if (!session) throw new Error(`${SecretId} does not open its database`);
      await work(session);
      await session.end();
    },

    async query(connection: Client, operation: string, statement: string, parameters?: unknown[]): Promise<void> {
      await connection.query(statement, parameters);
      made.push(`postgresql ${operation} ok`);
    },
  };
}

export type DirectCalls = ReturnType<typeof createDirectCalls>;

export const newPassword = (): string => randomBytes(24).toString('base64url');
