import { spawnSync } from 'node:child_process';

export interface FileOwner {
  uid: number;
  gid: number;
}

/**
 * The user to run a server as that refuses to run as root: `undefined` when this process is not root's.
 *
 * @throws {Error} when no unprivileged user exists
 */
export function unprivilegedUser(): FileOwner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', '_postgres', 'nobody']) {
    const uid = idOf('-u', name);
    const gid = idOf('-g', name);
    if (uid !== undefined && gid !== undefined) return { uid, gid };
  }
  throw new Error('PostgreSQL refuses to run as root, and there is no user postgres or nobody.');
}

function idOf(kind: '-u' | '-g', name: string): number | undefined {
  const { status, stdout } = spawnSync('id', [kind, name], { encoding: 'utf8' });
  const id = Number(stdout);
  return status === 0 && Number.isInteger(id) && id > 0 ? id : undefined;
}
