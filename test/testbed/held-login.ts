import { Client, escapeIdentifier } from 'pg';
import { until } from './until';

/** A login that nobody else can alter or create while it is held. */
export interface HeldLogin {
  /** Returns when a statement of Keyturn's waits for it. */
  isWaitedFor(): Promise<void>;
  /** Lets go of it, and returns when the statements that waited have ended. Once is enough. */
  release(): Promise<void>;
}

/** Holds a login by a transaction that has altered it, or created it where there is none, and that never takes effect. */
export async function holdLogin(login: string): Promise<HeldLogin> {
  // Two, because within a transaction the server shows its sessions as they were at the first look.
  const [holder, observer] = [superuser(), superuser()];
  await Promise.all([holder.connect(), observer.connect()]);
  const role = escapeIdentifier(login);
  const { rowCount } = await holder.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [login]);
  await holder.query('BEGIN');
  await holder.query(rowCount ? `ALTER ROLE ${role} CONNECTION LIMIT 99` : `CREATE ROLE ${role}`);
  const { rows } = await holder.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const holderPid = rows[0]?.pid;
  let waiting: number[] = [];
  let released: Promise<void> | undefined;

  async function pidsWhere(condition: string, parameter: unknown): Promise<number[]> {
    const query = `SELECT pid FROM pg_stat_activity WHERE application_name = 'keyturn' AND ${condition}`;
    return (await observer.query<{ pid: number }>(query, [parameter])).rows.map(({ pid }) => pid);
  }

  async function release(): Promise<void> {
    try {
      await holder.query('ROLLBACK');
      await until('the statements that waited have ended', async () => {
        const pids = await pidsWhere(`pid = ANY ($1::int[]) AND state <> 'idle'`, waiting);
        return pids.length === 0;
      });
    } finally {
      await Promise.all([holder.end(), observer.end()]);
    }
  }

  return {
    async isWaitedFor() {
      const find = async () => {
        const pids = await pidsWhere('$1::int = ANY (pg_blocking_pids(pid))', holderPid);
        return pids.length > 0 && pids;
      };
      waiting = await until(`a statement that waits for the login ${login}`, find, { withinMs: 10_000 });
    },
    release: () => (released ??= release()),
  };
}

const superuser = () => new Client({ connectionString: process.env['LAB_DATABASE_URL'] });
