import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { startUnreliablePostgres } from './testbed/postgres-wire';

let bed: Testbed;

beforeAll(async () => {
  bed = await openTestbed();
  await bed.startWorker();
});
afterAll(() => bed.close());

/** A database behind a server whose answers get lost. */
interface Lane {
  name: string;
  /** Makes a database whose secret has that port. With `once` each rotation gets one of its own, so that each is a first use. */
  create(secret: string, port: number): Promise<void>;
  once?: true;
  /** Requests that must have been among those that were lost. */
  requests: string[];
}

const LANES: Lane[] = [
  {
    name: 'single-user',
    create: async (secret, port) => void (await bed.databases.singleUser(secret, { fields: { port } })),
    requests: ['login, opened', 'login, refused', 'ALTER ROLE'],
  },
  {
    name: 'single-user with an administrator',
    async create(secret, port) {
      await bed.databases.alternatingUsers(secret, { fields: { port } });
      const adminSecret = `${secret}-admin`;
      await bed.declare({ [secret]: { type: 'database', strategy: 'single-user', sslmode: 'disable', adminSecret } });
    },
    requests: ['login, opened', 'login, refused', 'ALTER ROLE'],
  },
  {
    name: 'alternating-users, creating the second login',
    create: async (secret, port) => void (await bed.databases.alternatingUsers(secret, { fields: { port } })),
    once: true,
    requests: ['login, opened', 'SELECT', 'CREATE ROLE', 'ALTER ROLE'],
  },
  {
    name: 'alternating-users, taking turns',
    create: async (secret, port) => void (await bed.databases.alternatingUsers(secret, { fields: { port } })),
    requests: ['login, opened', 'SELECT', 'ALTER ROLE'],
  },
];

/** Rotates with one answer later lost each time, first of the logins and then of the statements. @returns what was lost, and what failed. */
async function loseEachAnswerInTurn(lane: Lane, number: number) {
  const lost: string[] = [];
  const failures: { lost: string; failure: unknown }[] = [];
  const server = await startUnreliablePostgres(bed.databases.port);
  try {
    const secretOf = (nth: number) => `lane-${number}/${nth}`;
    let rotations = 0;
    if (!lane.once) await lane.create(secretOf(0), server.port);
    for (const lose of ['loseLogin', 'loseStatement'] as const) {
      for (let nth = 0; ; nth += 1) {
        const secret = secretOf(lane.once ? rotations++ : 0);
        if (lane.once) await lane.create(secret, server.port);
        const answer = server[lose](nth);
        const failure = await rotateAndCheck(secret).catch((error: unknown) => error);
        if (failure) failures.push({ lost: answer.request ?? 'nothing', failure });
        if (!answer.request) break;
        lost.push(answer.request);
      }
    }
    return { lane, lost, failures };
  } finally {
    await server.stop();
  }
}

async function rotateAndCheck(secret: string): Promise<void> {
  const before = await bed.secrets.labels(secret);
  const versionsBefore = await bed.secrets.versionIds(secret);
  const { versions } = await bed.rotate(secret);
  expect(await bed.secrets.labels(secret)).toEqual({ current: versions.current, previous: before.current });
  expect(await bed.secrets.versionIds(secret)).toHaveLength(versionsBefore.length + 1);
  expect(await bed.databases.opens(secret)).toBe(true);
}

test('a rotation succeeds whichever answer of PostgreSQL is lost, to a login or to a statement that took effect', async () => {
  for (const { lane, lost, failures } of await Promise.all(LANES.map(loseEachAnswerInTurn))) {
    expect({ lane: lane.name, failures }).toEqual({ lane: lane.name, failures: [] });
    expect({ lane: lane.name, lost }).toMatchObject({ lost: expect.arrayContaining(lane.requests) as unknown });
  }
});
