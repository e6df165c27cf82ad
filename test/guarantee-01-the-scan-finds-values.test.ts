import { createCipheriv, createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { TypedSearchAttributes, defineSearchAttributeKey } from '@temporalio/common';
import { scramVerifier } from '../src/activities/postgres/scram';
import { SEARCH_ATTRIBUTES } from '../src/rotation/names';
import { auditRecords, histories, leaksIn, textOf } from './testbed/scan';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import type { Canary } from './testbed/value-forms';

/** Every test of every file ends by looking for values. That it finds none says something only if it finds those that are there. */
describe('the scan finds a value', () => {
  const VALUE = `pä'ss"w\\örd %/+&<>$ ${randomBytes(6).toString('base64')}`;
  const VERSION = '5f1d0c7e-0000-4000-8000-000000000001';
  const LOGIN = 'the "app" user';
  const bytes = Buffer.from(VALUE);
  const json = (text: unknown) => JSON.stringify(text);

  const finds = async (text: string, canary: Canary = { value: VALUE }) =>
    (await leaksIn([{ name: 'a log', text: `what stands before it ${text} and after it` }], [canary])).length > 0;

  test.each([
    ['in clear', VALUE],
    ['in JSON', json({ a: VALUE })],
    ['in JSON within JSON', json({ a: json({ b: VALUE }) })],
    ['in JSON of ASCII only', json(VALUE).replace(/[^ -~]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`)],
    ['in what JavaScript prints', inspect({ a: VALUE })],
    ['in SQL', `ALTER ROLE app PASSWORD '${VALUE.replaceAll("'", "''")}'`],
    [
      'in a page',
      VALUE.replaceAll('&', '&amp;')
        .replaceAll('<', '&lt;')
        .replaceAll('>', '&gt;')
        .replaceAll('"', '&quot;')
        .replaceAll("'", '&#39;'),
    ],
    ['in an address', `postgres://app:${encodeURIComponent(VALUE)}@db/app`],
    ['in an address, in small letters', encodeURIComponent(VALUE).replace(/%../g, (c) => c.toLowerCase())],
    ['in a form', String(new URLSearchParams({ password: VALUE }))],
    ['in base64', bytes.toString('base64')],
    ['in base64 for addresses', bytes.toString('base64url')],
    ['in an Authorization header', `Basic ${Buffer.from(`app:${VALUE}`).toString('base64')}`],
    [
      'in JSON in base64',
      Buffer.from(json({ password: 'x' + VALUE.replace(/["\\]/g, '') })).toString('base64'),
      VALUE.replace(/["\\]/g, ''),
    ],
    ['in hex', `\\x${bytes.toString('hex')}`],
    ['in large hex', bytes.toString('hex').toUpperCase()],
    ['in bytes that were printed', inspect(bytes)],
    ['in bytes in JSON', json(bytes)],
    ['in a list of bytes', `[ ${[...bytes].join(', ')} ]`],
  ])('%s', async (_where, text, value = VALUE) => {
    expect(await finds(text, { value })).toBe(true);
    expect(await finds(text, { value: 'another value altogether' })).toBe(false);
  });

  test.each(['md5', 'sha1', 'sha256', 'sha512'])(
    'by its digest with %s, without salt and with known ones',
    async (algorithm) => {
      const canary = { value: VALUE, versionId: VERSION, username: LOGIN };
      const digest = (text: string) => createHash(algorithm).update(text).digest();
      const hmac = (key: string, text: string) => createHmac(algorithm, key).update(text).digest();
      const all = [
        digest(VALUE),
        ...['keyturn', 'salt', VERSION, LOGIN].flatMap((salt) => [
          digest(salt + VALUE),
          digest(VALUE + salt),
          hmac(salt, VALUE),
          hmac(VALUE, salt),
        ]),
      ];
      for (const made of all) {
        expect(await finds(made.toString('hex'), canary)).toBe(true);
        expect(await finds(made.toString('base64'), canary)).toBe(true);
      }
      expect(await finds(digest('another value').toString('hex'), canary)).toBe(false);
    },
  );

  test('by what PostgreSQL stores in its place, whole and in parts', async () => {
    const canary = { value: VALUE, versionId: VERSION, username: LOGIN };
    const verifier = await scramVerifier(VALUE, VERSION, LOGIN);
    const [, salt = '', storedKey = '', serverKey = ''] = /:(.*)\$(.*):(.*)$/.exec(verifier) ?? [];
    const salted = pbkdf2Sync(VALUE, Buffer.from(salt, 'base64'), 4096, 32, 'sha256');
    const clientKey = createHmac('sha256', salted).update('Client Key').digest();
    for (const part of [salt, storedKey, serverKey, salted.toString('base64'), clientKey.toString('base64')]) {
      expect(await finds(part, canary)).toBe(true);
      expect(await finds(Buffer.from(part, 'base64').toString('hex'), canary)).toBe(true);
    }
    expect(await finds(verifier, canary)).toBe(true);
    expect(await finds(Buffer.from(`'${verifier}'`).toString('base64'), canary)).toBe(true);
    expect(await finds(await scramVerifier('another value', VERSION, 'another user'), canary)).toBe(false);
  });

  test('as PostgreSQL normalises it', async () => {
    expect(await finds('normal a password', { value: 'norm\u00adal ª password' })).toBe(true);
  });

  test('by a piece of it, where pieces count', async () => {
    const piece = `…${VALUE.slice(4, 16)}…`;
    expect(await finds(piece, { value: VALUE, pieces: true })).toBe(true);
    expect(await finds(piece)).toBe(false);
  });

  test('of six characters, and none that is shorter', async () => {
    expect(await finds('k7#dq2', { value: 'k7#dq2' })).toBe(true);
    expect(await finds('k7#dq', { value: 'k7#dq' })).toBe(false);
  });

  test('among thousands, at the beginning and the end of a text of megabytes, and takes nothing else for one', async () => {
    const canaries = Array.from({ length: 500 }, (_, n) => ({
      value: randomBytes(24).toString('base64'),
      versionId: `version ${n}`,
    }));
    const filler = randomText(4_000_000);
    const places = [canaries[0]?.value + filler, filler + canaries[499]?.value, filler].map((text, n) => ({
      name: `log ${n}`,
      text,
    }));
    const leaks = ['log 0 holds a secret value (in clear)', 'log 1 holds a secret value (in clear)'];
    expect(await leaksIn(places, canaries)).toEqual(leaks);
  });
});

/** Characters that follow no pattern, made fast. */
function randomText(length: number): string {
  return createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16))
    .update(Buffer.alloc((length / 4) * 3))
    .toString('base64');
}

describe('the scan looks everywhere', () => {
  let bed: Testbed;
  beforeAll(async () => {
    bed = await openTestbed();
    await bed.startWorker();
  });
  afterAll(() => bed.close());

  /** Planted by way of what Keyturn passes on as it was given; none of them is a secret value. */
  const planted = () => randomBytes(18).toString('base64');
  const look = async (value: string) => {
    const { client, taskQueue, environment } = bed;
    const places = [...(await histories({ client, taskQueue, runs: [] })), await auditRecords(environment)];
    return (await leaksIn(places, [{ value }])).map((leak) =>
      leak.replace(/ of rotation\S+ \(\S+\)/, '').replace(environment, ''),
    );
  };

  test('in an input, result, memo, search attribute, summary, signal and audit record', async () => {
    await bed.declare({ key: { type: 'app-secret' } });
    const at = { input: planted(), memo: planted(), attribute: planted(), summary: planted(), signal: planted() };
    const handle = await bed.client.workflow.start('rotateAppSecret', {
      taskQueue: bed.taskQueue,
      workflowId: `rotation/${bed.environment}/key`,
      args: [{ environment: bed.environment, secret: 'key', dryRun: true, reason: at.input }],
      memo: { note: at.memo },
      typedSearchAttributes: new TypedSearchAttributes([
        { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.type, 'KEYWORD'), value: at.attribute },
      ]),
      staticSummary: at.summary,
    });
    await handle.signal('abort', { reason: at.signal });
    await handle.result();
    for (const value of Object.values(at))
      expect(await look(value)).toContain('the history holds a secret value (in clear)');
    for (const value of [at.input, at.signal])
      expect(await look(value)).toContain('the audit log holds a secret value (in clear)');
  });

  test('in a failure, and in the last failure of an activity that is tried again', async () => {
    const login = planted();
    const nowhere = planted().replace(/\W/g, '');
    await bed.declare({
      refused: { type: 'database', strategy: 'single-user', sslmode: 'disable' },
      unreachable: { type: 'database', strategy: 'single-user', sslmode: 'disable' },
    });
    const { host, port } = bed.databases;
    const fields = { engine: 'postgres', host, port, dbname: 'postgres', username: login, password: planted() };
    await bed.secrets.create('refused', JSON.stringify(fields));
    await bed.secrets.create('unreachable', JSON.stringify({ ...fields, host: `${nowhere}.invalid` }));
    await expect(bed.rotate('refused')).rejects.toThrow();
    expect(await look(login)).toContain('the history holds a secret value (in clear)');

    const running = await bed.start('unreachable');
    const description = await until('an attempt has failed', async () => {
      const { raw } = await running.describe();
      return raw.pendingActivities?.some(({ lastFailure }) => lastFailure) && raw;
    });
    expect(await leaksIn([{ name: 'the description', text: textOf(description) }], [{ value: nowhere }])).toContain(
      'the description holds a secret value (in clear)',
    );
    expect(await look(nowhere)).toContain('the history holds a secret value (in clear)');
    await running.terminate();
  });

  test('in encodings, and says where without the value', async () => {
    const value = planted();
    const reason = Buffer.from(`app:${value}`).toString('base64');
    await bed.rotate('key', { dryRun: true, reason });
    const leaks = await look(value);
    expect(leaks).toEqual(
      expect.arrayContaining([
        'the history holds a secret value (base64)',
        'the audit log holds a secret value (base64)',
      ]),
    );
    expect(leaks.join()).not.toContain(value);
  });
});
