import { DescribeSecretCommand } from '@aws-sdk/client-secrets-manager';
import { escapeLiteral } from 'pg';
import type { StagingLabels } from '../../src/rotation/types';
import type { Testbed } from './testbed';

/** All that a rotation could change of a secret and of the logins that belong to it. */
export interface Situation {
  labels: StagingLabels;
  /** The text of every version by its VersionId, of those that have a label. */
  versions: Record<string, string>;
  /** Description, KMS key and tags. */
  about: Record<string, unknown>;
  /** What the server's catalog says of each login, with its verifier; a login that is not there is missing here. */
  roles: Record<string, unknown>[];
}

/** @param roles the names of the logins to look at. */
export async function situationOf(bed: Testbed, secret: string, roles: string[] = []): Promise<Situation> {
  const description = await bed.secretsManager.send(new DescribeSecretCommand({ SecretId: bed.secrets.idOf(secret) }));
  const { VersionIdsToStages = {}, Description, KmsKeyId, Tags } = description;
  const labelled = Object.keys(VersionIdsToStages).filter((id) => (VersionIdsToStages[id] ?? []).length > 0);
  const versions: Record<string, string> = {};
  for (const id of labelled.sort()) versions[id] = await bed.secrets.valueOfVersion(secret, id);
  return {
    labels: await bed.secrets.labels(secret),
    versions,
    about: { Description, KmsKeyId, Tags },
    roles: roles.length === 0 ? [] : await rolesOf(bed, roles),
  };
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
