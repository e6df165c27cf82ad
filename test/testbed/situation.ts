import { DescribeSecretCommand } from '@aws-sdk/client-secrets-manager';
import { escapeLiteral } from 'pg';
import type { StagingLabels } from '../../src/rotation/types';
import { accepted } from './api-keys';
import type { FakeKeyService } from './fake-key-service';
import type { Testbed } from './testbed';

/** A secret as Secrets Manager has it. */
interface SecretSituation {
  labels: StagingLabels;
  /** The text of every version by its VersionId, of those that have a label. */
  versions: Record<string, string>;
  /** Description, KMS key and tags. */
  about: Record<string, unknown>;
}

/** A key as its service has it. */
interface KeySituation {
  id: string;
  active: boolean;
  /** Whether the service lets it in. */
  accepted: boolean;
}

/** All that a rotation could change of a secret and of what belongs to it. */
export interface Situation extends SecretSituation {
  /** What the server's catalog says of each login, with its verifier; a login that is not there is missing here. */
  roles: Record<string, unknown>[];
  /** All keys of the account, by their IDs; none where the secret is no API key. */
  keys: KeySituation[];
  /** The secondary secret of an API key; absent when there is none. */
  secondary?: SecretSituation;
}

/**
 * @param roles the names of the logins to look at.
 * @param service where an API key comes from.
 */
export async function situationOf(
  bed: Testbed,
  secret: string,
  roles: string[] = [],
  service?: FakeKeyService,
): Promise<Situation> {
  return {
    ...(await secretOf(bed, secret)),
    roles: roles.length === 0 ? [] : await rolesOf(bed, roles),
    keys: service ? await keysOf(service) : [],
    secondary: service && (await secondaryOf(bed, secret)),
  };
}

async function secretOf(bed: Testbed, secret: string): Promise<SecretSituation> {
  const description = await bed.secretsManager.send(new DescribeSecretCommand({ SecretId: bed.secrets.idOf(secret) }));
  const { VersionIdsToStages = {}, Description, KmsKeyId, Tags } = description;
  const labelled = Object.keys(VersionIdsToStages).filter((id) => (VersionIdsToStages[id] ?? []).length > 0);
  const versions: Record<string, string> = {};
  for (const id of labelled.sort()) versions[id] = await bed.secrets.valueOfVersion(secret, id);
  return { labels: await bed.secrets.labels(secret), versions, about: { Description, KmsKeyId, Tags } };
}

async function secondaryOf(bed: Testbed, secret: string): Promise<SecretSituation | undefined> {
  try {
    return await secretOf(bed, `${secret}-secondary`);
  } catch (error) {
    if ((error as Error).name === 'ResourceNotFoundException') return undefined;
    throw error;
  }
}

/** Asked as a client asks, which the service remembers as a use. */
async function keysOf(service: FakeKeyService): Promise<KeySituation[]> {
  const keys = service.keys().sort((a, b) => a.id.localeCompare(b.id));
  return Promise.all(
    keys.map(async ({ id, active, value }) => ({ id, active, accepted: await accepted(service, value) })),
  );
}

async function rolesOf(bed: Testbed, names: string[]): Promise<Record<string, unknown>[]> {
  return bed.databases.asSuperuser(
    `SELECT a.rolname, a.rolcanlogin, a.rolpassword, a.rolconnlimit, a.rolcreaterole, a.rolsuper, a.rolinherit,
            ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_authid g ON g.oid = m.roleid
                   WHERE m.member = a.oid ORDER BY 1) AS member_of,
            ARRAY(SELECT coalesce(d.datname, '*') || ': ' || unnest(s.setconfig) FROM pg_db_role_setting s
                    LEFT JOIN pg_database d ON d.oid = s.setdatabase WHERE s.setrole = a.oid ORDER BY 1) AS settings
       FROM pg_authid a WHERE a.rolname IN (${names.map(escapeLiteral).join(', ')}) ORDER BY a.rolname`,
  );
}
