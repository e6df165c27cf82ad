import { CreateAliasCommand, CreateKeyCommand, KMSClient, ListAliasesCommand } from '@aws-sdk/client-kms';
import {
  CreateBucketCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import {
  CreateSecretCommand,
  PutSecretValueCommand,
  ResourceExistsException,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { randomBytes } from 'node:crypto';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { secretsManagerOf } from './aws';
import { asSuperuser } from './audit-database';
import type { Lab } from './lab';

/** What the sample catalog's API key is issued by. */
interface KeyIssuer {
  adminToken: string;
  issue(name: string): { id: string; value: string };
}

/**
 * Makes what the sample catalog's environment `dev` names, with random values: the secrets, the logins and databases, and the API key.
 * `dev/jwt-secret` is left out, because Keyturn creates what is missing.
 */
export async function seedSampleCatalog(lab: Lab, keyService: KeyIssuer): Promise<void> {
  const secretsManager = secretsManagerOf(lab.aws);
  try {
    await putSecret(secretsManager, 'dev/encryption-key', randomValue());
    await putSecret(
      secretsManager,
      'dev/session-secret',
      JSON.stringify({ value: randomValue(), rotated_by: 'keyturn' }),
    );
    await seedSingleUser(lab, secretsManager);
    await seedAlternatingUsers(lab, secretsManager);
    await seedApiKey(keyService, secretsManager);
    await seedBackups(lab);
  } finally {
    secretsManager.destroy();
  }
}

/** `database/app`: the login `app`, which owns the database `app`. */
async function seedSingleUser(lab: Lab, secretsManager: SecretsManagerClient): Promise<void> {
  const password = randomValue();
  await asSuperuser(lab.postgres, 'postgres', async (client) => {
    await client.query(`CREATE ROLE app LOGIN PASSWORD ${escapeLiteral(password)}`);
    await client.query('CREATE DATABASE app OWNER app');
  });
  await putDatabaseSecret(lab, secretsManager, 'dev/database/app', 'app', 'app', password);
}

/**
 * `database/orders`: the login `orders` in the group role `orders_owner`, which owns the database `orders` and its table.
 * `database/admin`: who may make and alter logins of that group, and nothing else.
 */
async function seedAlternatingUsers(lab: Lab, secretsManager: SecretsManagerClient): Promise<void> {
  const [password, adminPassword] = [randomValue(), randomValue()];
  await asSuperuser(lab.postgres, 'postgres', async (client) => {
    await client.query('CREATE ROLE orders_owner NOLOGIN');
    await client.query(`CREATE ROLE orders LOGIN PASSWORD ${escapeLiteral(password)} IN ROLE orders_owner`);
    await client.query('ALTER ROLE orders SET role = orders_owner');
    await client.query(`CREATE ROLE keyturn_admin LOGIN CREATEROLE PASSWORD ${escapeLiteral(adminPassword)}`);
    // PostgreSQL 16 and later: CREATEROLE alters only the roles that it has the admin option on.
    for (const role of ['orders_owner', 'orders']) {
      const options = 'WITH ADMIN OPTION, INHERIT FALSE, SET FALSE';
      await client.query(`GRANT ${escapeIdentifier(role)} TO keyturn_admin ${options}`);
    }
    await client.query('CREATE DATABASE orders OWNER orders_owner');
  });
  await asSuperuser(lab.postgres, 'orders', async (client) => {
    await client.query('SET ROLE orders_owner');
    await client.query(
      'CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text NOT NULL, at timestamptz NOT NULL DEFAULT now())',
    );
    await client.query("INSERT INTO orders (item) VALUES ('first'), ('second'), ('third')");
  });
  await putDatabaseSecret(lab, secretsManager, 'dev/database/orders', 'orders', 'orders', password);
  await putDatabaseSecret(lab, secretsManager, 'dev/database/admin', 'orders', 'keyturn_admin', adminPassword);
}

/** `api/payments`: a key that somebody has made by hand, and `api/payments-admin`: what may make and delete keys. */
async function seedApiKey(keyService: KeyIssuer, secretsManager: SecretsManagerClient): Promise<void> {
  const { id, value } = keyService.issue('made by hand');
  await putSecret(secretsManager, 'dev/api/payments', JSON.stringify({ keyId: id, key: value, account: 'acme' }));
  await putSecret(secretsManager, 'dev/api/payments-admin', JSON.stringify({ token: keyService.adminToken }));
}

/** The bucket and the key that the sample catalog names for backups. */
async function seedBackups({ aws: { endpoint, region, credentials } }: Lab): Promise<void> {
  const [Bucket, AliasName] = ['keyturn-backups', 'alias/keyturn-backups'];
  const s3 = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
  const kms = new KMSClient({ endpoint, region, credentials });
  try {
    await s3.send(new CreateBucketCommand({ Bucket }));
    await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
    const removal = {
      ID: 'remove-old-backups',
      Status: 'Enabled',
      Filter: { Prefix: 'secret-backups/' },
      Expiration: { Days: 90 },
    } as const;
    await s3.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: [removal] } }));
    const { Aliases = [] } = await kms.send(new ListAliasesCommand({}));
    if (Aliases.some((alias) => alias.AliasName === AliasName)) return;
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({ Description: 'backups of the lab' }));
    await kms.send(new CreateAliasCommand({ AliasName, TargetKeyId: KeyMetadata?.KeyId }));
  } finally {
    s3.destroy();
    kms.destroy();
  }
}

/** The shape that AWS's own rotation functions use, and `sslmode`, because the lab's server has no TLS. */
async function putDatabaseSecret(
  lab: Lab,
  secretsManager: SecretsManagerClient,
  secretId: string,
  dbname: string,
  username: string,
  password: string,
): Promise<void> {
  const { host, port } = lab.postgres;
  const value = { engine: 'postgres', host, port, dbname, username, password, sslmode: 'disable' };
  await putSecret(secretsManager, secretId, JSON.stringify(value));
}

/** An AWS that outlives the lab may hold the secret of an earlier one. */
async function putSecret(secretsManager: SecretsManagerClient, secretId: string, value: string): Promise<void> {
  try {
    await secretsManager.send(new CreateSecretCommand({ Name: secretId, SecretString: value }));
  } catch (error) {
    if (!(error instanceof ResourceExistsException)) throw error;
    await secretsManager.send(new PutSecretValueCommand({ SecretId: secretId, SecretString: value }));
  }
}

function randomValue(): string {
  return randomBytes(24).toString('base64url');
}
