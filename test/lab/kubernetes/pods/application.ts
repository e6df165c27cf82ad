/**
 * The application of the lab's pods: a process that opens its database for each request, with the login it was given, and never tries again.
 *
 * - DATABASE_CREDENTIALS_DIRECTORY: a mounted Secret with `username` and `password`, read again for each connection
 * - DATABASE_USER, DATABASE_PASSWORD: in place of it, as they were when the process started
 * - PGHOST, PGPORT, PGDATABASE: the database; PORT: where it listens on loopback
 *
 * `GET /healthz` is 200 when it can log in. Any other path answers with the login that the database saw.
 */
import { readFile, realpath } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Client } from 'pg';
import { LOOPBACK } from '../../ports';

/** What the application answers. */
export interface ApplicationAnswer {
  pod: string;
  /** The login, as the database calls it. */
  user: string;
}

interface Login {
  user: string;
  password: string;
}

const { DATABASE_CREDENTIALS_DIRECTORY: directory, DATABASE_USER = '', DATABASE_PASSWORD = '' } = process.env;
const atStart: Login = { user: DATABASE_USER, password: DATABASE_PASSWORD };

async function currentLogin(): Promise<Login> {
  if (!directory) return atStart;
  try {
    return await readLogin(directory);
  } catch (error) {
    // The kubelet replaced the files meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return readLogin(directory);
  }
}

/** Both from one folder: by way of the symlinks, one could be of the version before and the other of the one after. */
async function readLogin(mounted: string): Promise<Login> {
  const files = await realpath(join(mounted, '..data'));
  const [user, password] = await Promise.all(
    ['username', 'password'].map((name) => readFile(join(files, name), 'utf8')),
  );
  return { user: user ?? '', password: password ?? '' };
}

async function loginSeen(): Promise<string> {
  const client = new Client(await currentLogin());
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ login: string }>('SELECT session_user AS login');
    return rows[0]?.login ?? '';
  } finally {
    await client.end().catch(() => undefined);
  }
}

const server = createServer((request, response) => {
  loginSeen().then(
    (user) => {
      const answer: ApplicationAnswer = { pod: process.env['HOSTNAME'] ?? '', user };
      response.end(request.url === '/healthz' ? 'ok\n' : `${JSON.stringify(answer)}\n`);
    },
    (error: unknown) => {
      response.statusCode = 503;
      response.end(`${error instanceof Error ? error.message : 'it failed'}\n`);
    },
  );
});
server.listen(Number(process.env['PORT'] ?? 8080), LOOPBACK);
// Requests that have begun are answered.
process.once('SIGTERM', () => server.close());
