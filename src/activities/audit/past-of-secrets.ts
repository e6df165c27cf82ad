/** What the audit log knows of secrets that are gone. The database looks; the records stay there. */
export interface PastOfSecrets {
  /**
   * Whether a rotation of the secret, whatever it came to, has found or made a value of it. One that nobody has ever rotated by Keyturn
   * is not known.
   *
   * @param secretId its full name, `{environment}/{name}`.
   * @throws AuditLogError
   */
  hasExisted(secretId: string): Promise<boolean>;
}

/** @param query runs a statement. */
export function createPastOfSecrets(query: (sql: string, values: unknown[]) => Promise<unknown[]>): PastOfSecrets {
  return {
    async hasExisted(secretId) {
      const [row] = (await query('SELECT keyturn_audit.has_existed($1) AS existed', [secretId])) as {
        existed: boolean;
      }[];
      return row?.existed ?? false;
    },
  };
}
