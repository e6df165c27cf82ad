import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CatalogError, createCatalogSource, loadCatalog, UnknownSecretError, type Catalog } from '../src/catalog';
import { catalogJsonSchema } from '../src/catalog/json-schema';
import { catalogReference } from '../src/catalog/reference';

const DAY_MS = 86_400_000;
const SAMPLE = join(__dirname, '../keyturn.yaml');

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-catalog-'));
  file = join(folder, 'keyturn.yaml');
});
afterEach(() => rm(folder, { recursive: true }));

async function load(text: string | Buffer): Promise<Catalog> {
  await writeFile(file, text);
  return loadCatalog(file);
}

/** A catalog whose environment dev has these lines for its secrets, which start on line 4. */
function dev(...lines: string[]): string {
  return ['environments:', '  dev:', '    secrets:', ...lines.map((line) => `      ${line}`), ''].join('\n');
}

async function refusal(loading: Promise<unknown>): Promise<CatalogError> {
  const error: unknown = await loading.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof CatalogError)) throw new Error(`expected a CatalogError, got ${String(error)}`);
  return error;
}

/** What the operator sees of a broken catalog, without the heading and with the folder left out. */
async function seen(loading: Promise<unknown>): Promise<string[]> {
  return (await refusal(loading)).message.replaceAll(`${folder}/`, '').split('\n').slice(1);
}

describe('the sample catalog', () => {
  const names = ['jwt-secret', 'encryption-key', 'session-secret', 'database/app', 'database/orders', 'api/payments'];

  test('declares the secrets of the lab', async () => {
    const catalog = await loadCatalog(SAMPLE);
    expect(catalog.secrets('dev').map(({ secret }) => secret)).toEqual(names);
    expect(catalog.secrets().map(({ secretId }) => secretId)).toEqual(names.map((name) => `dev/${name}`));
    expect(catalog.plan('dev', 'database/orders')).toEqual({
      type: 'database',
      strategy: 'alternating-users',
      environment: 'dev',
      secret: 'database/orders',
      secretId: 'dev/database/orders',
      adminSecretId: 'dev/database/admin',
      groupRole: 'orders_owner',
      sslMode: 'disable',
      password: { length: 32, classes: [expect.any(String), expect.any(String), '0123456789', '-_.~'] },
      dependents: [],
      timeouts: { stepMs: 900_000, rollbackMs: DAY_MS },
    });
  });

  test('has a production example that is right once its comment signs are removed', async () => {
    const [before, example] = readFileSync(SAMPLE, 'utf8').split(/(?<=environment\.\n)(?= {2}# production:)/);
    const catalog = await load(`${before}${example?.replaceAll(/^ {2}# /gm, '  ')}`);
    expect(catalog.plan('production', 'jwt-secret').dependents).toEqual([
      {
        kind: 'http',
        name: 'web shop',
        healthUrl: 'https://shop.example.com/healthz',
        expectStatus: 200,
        timeoutMs: 120_000,
      },
    ]);
    expect(catalog.plan('production', 'database/orders')).toMatchObject({
      gracePeriodMs: 2 * DAY_MS,
      sslMode: 'verify-full',
      sslRootCert: join(folder, 'certificates/rds-global-bundle.pem'),
    });
    expect(catalog.plan('production', 'billing/aws')).toMatchObject({
      provider: { name: 'aws-iam', userName: 'billing-exporter' },
      gracePeriodMs: 7 * DAY_MS,
      phaseIn: [{ percent: 10 }, { percent: 50 }, { afterMs: 6 * DAY_MS, percent: 100 }],
    });
    expect(catalog.plan('production', 'payments/acme')).toMatchObject({
      provider: {
        name: 'http',
        adminSecretId: 'production/payments/acme-admin',
        create: { body: '{"name":"{{label}}","scopes":["payments"]}' },
      },
    });
    expect(catalog.plan('production', 'marketplace/amazon')).toMatchObject({ provider: { name: 'amazon-sp-api' } });
  });

  test('has the JSON Schema that the catalog schema makes; after a change: npm run build && node dist/src/catalog/write-json-schema.js', () => {
    expect(readFileSync(join(__dirname, '../keyturn.schema.json'), 'utf8')).toBe(catalogJsonSchema());
  });

  test('has the reference that the catalog schema makes, by the same command, and each of its links leads to a section', () => {
    const reference = readFileSync(join(__dirname, '../docs/catalog.md'), 'utf8');
    expect(reference).toBe(catalogReference());
    const anchors = [...reference.matchAll(/^## (.+)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    );
    const linked = [...reference.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor);
    expect(new Set(linked)).toEqual(new Set(anchors.filter((anchor) => anchor !== 'the-file')));
  });
});

describe('what the catalog leaves out', () => {
  const app = 'type: app-secret';
  const database = 'type: database, strategy: single-user';

  test.each([
    ['dev', '', `x: {${app}}`, 60, 'quarterly'],
    ['staging', '', `x: {${database}}`, 90, 'monthly'],
    ['production', '', `x: {${app}}`, 90, 'monthly'],
    ['qa', '', `x: {${database}}`, 90, 'monthly'],
    ['dev', '', `jwt-secret: {${app}}`, 180, 'quarterly'],
    ['production', '', `auth/JWT_key: {${app}}`, 180, 'monthly'],
    ['production', '', `jwt/database: {${database}}`, 90, 'monthly'],
    ['production', 'maxAge: 120 days', `x: {${app}}`, 120, 'monthly'],
    ['production', 'maxAge: 30d', `jwt-secret: {${app}}`, 30, 'monthly'],
    ['dev', 'maxAge: 30d, review: weekly', `x: {${app}, maxAge: 1 week, review: yearly}`, 7, 'yearly'],
  ])(
    'is filled in by type, environment and what is written: %s {%s} %s: %d days, %s',
    async (environment, policy, secret, days, review) => {
      const catalog = await load(`environments: { ${environment}: { secrets: {${secret}}, ${policy} } }`);
      expect(catalog.secrets(environment)).toMatchObject([{ maxAgeMs: days * DAY_MS, review }]);
    },
  );

  test('is an app secret of 64 characters and a database session with full verification', async () => {
    const catalog = await load(dev(`app: {${app}}`, `db: {${database}}`));
    const { length, classes } = catalog.plan('dev', 'app').password;
    expect([length, classes.join('')]).toEqual([64, expect.stringMatching(/^A.*Za.*z0.*9!@#\$%\^&\*$/)]);
    expect(catalog.plan('dev', 'db')).toMatchObject({ sslMode: 'verify-full', password: { length: 32 } });
  });

  test('is inherited from the environment, the grace period only where there is one', async () => {
    const alternating = 'type: database, strategy: alternating-users, groupRole: o, adminSecret: admin';
    const policy = 'gracePeriod: 2 hours, stepTimeout: 1 minute, rollbackTimeout: 1 hour';
    const secrets = `a: {${database}}, b: {${alternating}}, c: {${alternating}, gracePeriod: 0 hours, stepTimeout: 5s}`;
    const catalog = await load(`environments: { qa: { ${policy}, secrets: {${secrets}} } }`);
    expect(catalog.environments()).toEqual([
      {
        environment: 'qa',
        review: 'monthly',
        schedules: expect.objectContaining({ timeZone: 'UTC' }),
        gracePeriodMs: 7_200_000,
        stepTimeoutMs: 60_000,
        rollbackTimeoutMs: 3_600_000,
      },
    ]);
    expect(catalog.plan('qa', 'a')).not.toHaveProperty('gracePeriodMs');
    expect(catalog.plan('qa', 'b')).toMatchObject({ gracePeriodMs: 7_200_000, timeouts: { stepMs: 60_000 } });
    expect(catalog.plan('qa', 'c')).toMatchObject({
      gracePeriodMs: 0,
      timeouts: { stepMs: 5_000, rollbackMs: 3_600_000 },
    });
  });
});

test('ranges in an alphabet are expanded, and any other hyphen stands for itself', async () => {
  const catalog = await load(dev('x: {type: app-secret, alphabet: "a-f0-9Z-A!-_"}'));
  expect(catalog.plan('dev', 'x').password.classes).toEqual(['ZA', 'abcdef', '0123456789', '-!_']);
});

test('what is written once and used under several secrets by an alias is known everywhere', async () => {
  const http = 'http: {name: shop, healthUrl: "http://shop/"}';
  const catalog = await load(
    dev(`a: {type: app-secret, dependents: &d [{${http}}]}`, 'b: {type: app-secret, dependents: *d}'),
  );
  expect(catalog.plan('dev', 'b').dependents).toEqual(catalog.plan('dev', 'a').dependents);
});

describe('an unknown secret', () => {
  test.each([
    [
      'dev',
      'databse/app',
      'keyturn.yaml declares no secret "databse/app" in the environment dev; did you mean database/app?',
    ],
    ['dev', 'orders', 'keyturn.yaml declares no secret "orders" in the environment dev; did you mean database/orders?'],
    [
      'dev',
      'constructor',
      'keyturn.yaml declares no secret "constructor" in the environment dev; it has jwt-secret, encryption-key, session-secret, database/app, database/orders, api/payments',
    ],
    ['prod', 'x', 'keyturn.yaml declares no environment "prod"; it has dev'],
    ['devv', 'x', 'keyturn.yaml declares no environment "devv"; did you mean dev?'],
  ])('is refused with the names that may have been meant: %s %s', async (environment, secret, message) => {
    const catalog = await loadCatalog('keyturn.yaml');
    expect(() => catalog.plan(environment, secret)).toThrow(new UnknownSecretError(message));
    expect(() => catalog.plan(environment, secret)).toThrow(UnknownSecretError);
  });

  test('is refused as an environment too, where its secrets are asked for', async () => {
    const catalog = await loadCatalog(SAMPLE);
    expect(() => catalog.secrets('devv')).toThrow('declares no environment "devv"; did you mean dev?');
  });
});

describe('a catalog file that cannot be read', () => {
  test('is said to be missing', async () => {
    expect(await seen(loadCatalog(file))).toEqual([
      'keyturn.yaml: the file does not exist; KEYTURN_CATALOG names the catalog, keyturn.yaml in the working directory when unset',
    ]);
  });

  test('is said to be a directory, or no file at all, without waiting for it', async () => {
    expect(await refusal(loadCatalog(folder))).toMatchObject({
      message: `The catalog has a problem:\n${folder}: is a directory: name the catalog file itself`,
    });
    execFileSync('mkfifo', [file]);
    expect(await seen(loadCatalog(file))).toEqual(['keyturn.yaml: is not a regular file']);
  });

  test('is said to be unreadable', async () => {
    await writeFile(file, '');
    expect(await seen(loadCatalog(`${file}/x`))).toEqual([
      expect.stringMatching(/^keyturn\.yaml\/x: the file cannot be read: ENOTDIR/),
    ]);
  });
});

test('all mistakes are in the error, and the first 20 in its message, in the order of the file', async () => {
  const error = await refusal(load(dev(...Array.from({ length: 30 }, (_, i) => `s${i}: {}`))));
  expect(error.problems).toHaveLength(30);
  expect(error.problems[29]).toEqual({
    line: 33,
    column: 7,
    path: 'environments.dev.secrets.s29.type',
    message: 'is missing: one of app-secret, database, api-key',
  });
  const lines = error.message.split('\n');
  expect(lines).toHaveLength(22);
  expect(lines[0]).toBe('The catalog has 30 problems:');
  expect(lines[20]).toContain('keyturn.yaml:23:7 environments.dev.secrets.s19.type');
  expect(lines[21]).toBe('and 10 more');
});

describe('an edit of the catalog', () => {
  const text = (length: number) => dev(`a: {type: app-secret, length: ${length}}`);

  test('applies to the next rotation and not to a plan made before, even when size and time of the file stay the same', async () => {
    const source = createCatalogSource(file);
    const time = new Date('2026-01-01T00:00:00Z');
    await writeFile(file, text(20));
    await utimes(file, time, time);
    const before = await source.load();
    const plan = before.plan('dev', 'a');
    expect(await source.load()).toBe(before);
    await writeFile(file, text(30));
    await utimes(file, time, time);
    expect((await source.load()).plan('dev', 'a').password.length).toBe(30);
    expect([plan.password.length, before.plan('dev', 'a').password.length]).toEqual([20, 20]);
  });

  test('that breaks it is refused until it is corrected, and the running rotations are not affected', async () => {
    const source = createCatalogSource(file);
    await writeFile(file, text(20));
    await source.load();
    const refused = [
      'keyturn.yaml:4:37 environments.dev.secrets.a.length: must be at least 16, not 2',
      'Rotations that already run are not affected: each keeps the plan that it started with. New ones are refused until the file is corrected.',
    ];
    await writeFile(file, text(2));
    expect(await seen(source.load())).toEqual(refused);
    expect(await seen(source.load())).toEqual(refused);
    await writeFile(file, text(21));
    expect((await source.load()).plan('dev', 'a').password.length).toBe(21);
  });
});
