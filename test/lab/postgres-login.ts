import { Client } from 'pg';

/** What a database secret says of its login. */
export interface StoredLogin {
  host: string;
  port: number;
  dbname: string;
  username: string;
  password: string;
}

/** Whether a login opens its database, asked of the database itself. @throws when it cannot be asked. */
export async function opensDatabase({ host, port, dbname, username, password }: StoredLogin): Promise<boolean> {
  const client = new Client({ host, port, database: dbname, user: username, password });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } catch (error) {
    if (['28P01', '28000'].includes((error as { code?: string }).code ?? '')) return false;
    throw error;
  } finally {
    await client.end().catch(() => undefined);
  }
}
