import { startApplication } from './testbed/application';
import { watchLoginWindow } from './testbed/login-window';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

let bed: Testbed;
beforeAll(async () => {
  bed = await openTestbed();
  await bed.startWorker();
});
afterAll(() => bed.close());

const ROTATIONS = 20;
const QUERIES = 20_000;

test(`an application has no failed query over ${ROTATIONS} rotations with alternating users`, async () => {
  const { secret, username, owner } = await bed.databases.alternatingUsers('orders', {
    declaration: { gracePeriod: '1 second' },
  });
  await bed.databases.asSuperuser(
    `CREATE TABLE visit (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY); ALTER TABLE visit OWNER TO "${owner}"`,
    username,
  );
  const application = await startApplication(bed, secret, 'visit');
  const { work } = application;
  try {
    for (let n = 0; n < ROTATIONS; n += 1) {
      const { outcome, warnings = [] } = await bed.rotate(secret);
      expect({ outcome, warnings, failures: work.failures }).toEqual({
        outcome: 'rotated',
        warnings: [],
        failures: [],
      });
    }
    await until(`${QUERIES} queries`, async () => work.queries >= QUERIES);
  } finally {
    await application.stop();
  }
  expect(work.failures).toEqual([]);
  expect([...work.usernames].sort()).toEqual([username, `${username}_clone`]);
  const [rows] = await bed.databases.asSuperuser<{ count: string }>('SELECT count(*) FROM visit', username);
  expect(Number(rows?.count)).toBe(work.inserted);
  console.log(
    `alternating users: ${work.queries} queries over ${work.connections} connections and ${ROTATIONS} rotations, none failed`,
  );
}, 180_000);

test('the window of a single-user rotation, in which AWSCURRENT does not open the database, is measured', async () => {
  const database = await bed.databases.singleUser('app');
  const windows: number[] = [];
  for (let n = 0; n < 6; n += 1) {
    windows.push(await watchLoginWindow(bed, database, () => bed.rotate(database.secret)));
  }
  for (const window of windows) {
    expect(window).toBeGreaterThan(0);
    expect(window).toBeLessThan(60_000);
  }
  const [first = 0, ...further] = windows.map(Math.round);
  console.log(
    `single-user: AWSCURRENT did not open the database for ${first} ms at first, then ${further.join(', ')} ms`,
  );
});
