import { Client } from 'pg';
import type { Check } from './check';
import { check, failed, ok, skipped, warning } from './check';

const NAME = 'audit database';
const TIMEOUT_MS = 5_000;

// From the catalogs, because looking a function up by its name fails without USAGE on its schema.
const RIGHTS = `
  SELECT has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE') AS "mayAppend",
         has_schema_privilege(n.oid, 'USAGE') AND pg_has_role('keyturn_audit_reader', 'USAGE') AS "mayRead",
         EXISTS (SELECT FROM pg_proc c WHERE c.pronamespace = n.oid AND c.proname = 'failures') AS "canCount",
         EXISTS (SELECT FROM pg_proc c WHERE c.pronamespace = n.oid AND c.proname = 'has_existed') AS "knowsPast"
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
   WHERE n.nspname = 'keyturn_audit' AND p.proname = 'append'`;

/** Whether the worker could write its records. Nothing is written. */
export async function checkAuditDatabase(url: string | undefined): Promise<Check> {
  if (url === undefined) {
    return skipped(
      NAME,
      'KEYTURN_AUDIT_DATABASE_URL is not set here; the worker needs it',
      'Run keyturn doctor with the environment of the worker.',
    );
  }
  return check(
    NAME,
    async () => {
      const client = new Client({
        connectionString: url,
        connectionTimeoutMillis: TIMEOUT_MS,
        query_timeout: TIMEOUT_MS,
        application_name: 'keyturn-doctor',
      });
      client.on('error', () => undefined);
      try {
        await client.connect();
        const { rows } = await client.query<Rights>(RIGHTS);
        return rightsCheck(rows[0]);
      } finally {
        await client.end().catch(() => undefined);
      }
    },
    'Rotations wait until the audit log can be written. Check KEYTURN_AUDIT_DATABASE_URL and the server.',
  );
}

interface Rights {
  mayAppend: boolean;
  mayRead: boolean;
  /** Set up by a version that has reviews. */
  canCount: boolean;
  /** Set up by a version whose restores tell what is lost from what was never created. */
  knowsPast: boolean;
}

const SET_UP = 'psql "$ADMIN_DATABASE_URL" -v ON_ERROR_STOP=1 -f deploy/postgres/audit.sql';

function rightsCheck(rights: Rights | undefined): Check {
  if (!rights) return failed(NAME, 'reachable, but the audit log is not set up in it', SET_UP);
  if (rights.mayAppend && !rights.canCount) {
    return warning(
      NAME,
      'this login may append, but reviews cannot count failures: it was set up before there were any',
      SET_UP,
    );
  }
  if (rights.mayAppend && !rights.knowsPast) {
    return warning(
      NAME,
      'this login may append, but restores cannot tell a secret that is lost from one that was never created: it was set up before they could',
      SET_UP,
    );
  }
  if (rights.mayAppend) return ok(NAME, `this login may append${rights.mayRead ? ' and read' : ''}`);
  const grant = "As the database's administrator: GRANT keyturn_audit_writer TO <the worker's login>";
  return rights.mayRead
    ? warning(NAME, 'this login may read and not append: right for an auditor, not for the worker', grant)
    : failed(NAME, 'this login may not append', grant);
}
