import type { SslMode } from '../../rotation/plan';
import { parseDatabaseSecret } from '../secrets-manager/database-secret';
import type { SecretStore } from '../secrets-manager/store';
import type { PostgresLogin } from './server';

/** What the catalog says of a database, for the activities that open it. */
export interface DatabaseTarget {
  sslMode: SslMode;
  sslRootCert?: string;
  /** Secrets Manager's name of a secret whose login may alter others. */
  adminSecretId?: string;
}

/** Turns versions of database secrets into logins. */
export function createCredentials(secrets: Pick<SecretStore, 'readVersion' | 'readCurrent'>) {
  const toLogin = (text: string, where: string, target: DatabaseTarget): PostgresLogin => {
    const secret = parseDatabaseSecret(text, where);
    return { ...secret, sslMode: secret.sslMode ?? target.sslMode, sslRootCert: target.sslRootCert };
  };
  return {
    /** @param text a database secret's, from wherever it was kept; `where` names that in messages. */
    ofText: toLogin,
    async ofVersion(secretId: string, versionId: string, target: DatabaseTarget): Promise<PostgresLogin> {
      return toLogin(await secrets.readVersion(secretId, versionId), `version ${versionId} of ${secretId}`, target);
    },
    /** As an application gets it: by the label, not by the version. */
    async current(secretId: string, target: DatabaseTarget): Promise<PostgresLogin & { versionId: string }> {
      const { versionId, text } = await secrets.readCurrent(secretId);
      return { ...toLogin(text, `the current version of ${secretId}`, target), versionId };
    },
  };
}

export type Credentials = ReturnType<typeof createCredentials>;
