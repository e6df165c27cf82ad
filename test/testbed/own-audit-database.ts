import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { projectFile } from '../lab/project';
import type { Testbed } from './testbed';

/** An audit database beside the lab's, for tests that damage it or look at it from the wrong login. */
export interface OwnAuditDatabase {
  /** Of a login that is a member of these roles; each call makes one. */
  urlOfLogin(...memberOf: ('keyturn_audit_writer' | 'keyturn_audit_reader')[]): Promise<string>;
  /** Runs statements as a superuser, whom neither grants nor, once disabled, triggers stop. */
  asSuperuser<T extends object>(statements: string): Promise<T[]>;
  drop(): Promise<void>;
}

/** @param setUp whether deploy/postgres/audit.sql has been run in it. */
export async function createOwnAuditDatabase(bed: Testbed, setUp = true): Promise<OwnAuditDatabase> {
  const { host, port, asSuperuser } = bed.databases;
  const name = `${bed.environment}_audit_${randomBytes(2).toString('hex')}`;
  const logins: string[] = [];
  await asSuperuser(`CREATE DATABASE ${escapeIdentifier(name)}`);
  if (setUp) await asSuperuser(await readFile(projectFile('deploy', 'postgres', 'audit.sql'), 'utf8'), name);
  return {
    async urlOfLogin(...memberOf) {
      const login = `${name}_login_${logins.length + 1}`;
      const password = randomBytes(18).toString('base64url');
      const inRole = memberOf.length > 0 ? ` IN ROLE ${memberOf.join(', ')}` : '';
      await asSuperuser(`CREATE ROLE ${escapeIdentifier(login)} LOGIN PASSWORD ${escapeLiteral(password)}${inRole}`);
      logins.push(login);
      return `postgresql://${login}:${password}@${host}:${port}/${name}`;
    },
    asSuperuser: (statements) => asSuperuser(statements, name),
    async drop() {
      await asSuperuser(`DROP DATABASE ${escapeIdentifier(name)} WITH (FORCE)`);
      for (const login of logins) await asSuperuser(`DROP ROLE ${escapeIdentifier(login)}`);
    },
  };
}
