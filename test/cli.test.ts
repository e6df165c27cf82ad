import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CLI = join(__dirname, '..', 'dist', 'src', 'client', 'cli.js');

const CATALOG = `
environments:
  dev:
    secrets:
      jwt-secret:
        type: app-secret
      database/app:
        type: database
        strategy: single-user
`;

/** Stands in every environment that holds credentials; no output may ever repeat it. */
const PASSWORD = 'canary-5f1d0c7e';

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

let folder: string;
/** Nothing listens there. */
let nowhere: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-cli-'));
  nowhere = `127.0.0.1:${await unusedPort()}`;
  await writeFile(join(folder, 'keyturn.yaml'), CATALOG);
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function unusedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Runs the built CLI without a terminal, its stdin open and silent: a question would wait for ever. */
function keyturn(argv: string[], env: Record<string, string> = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, ...argv], {
      cwd: folder,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, HOME: folder, TEMPORAL_ADDRESS: nowhere, ...env },
    });
    const ended: Ended = { code: null, stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => (ended.stdout += chunk));
    child.stderr.on('data', (chunk) => (ended.stderr += chunk));
    child.on('error', reject);
    child.on('close', (code) => resolve({ ...ended, code }));
  });
}

function expectNoStack({ stdout, stderr }: Ended): void {
  expect(stdout + stderr).not.toMatch(/^\s+at .*:\d+:\d+/m);
}

describe('help', () => {
  test('lists every command and what the exit codes mean', async () => {
    const { code, stdout, stderr } = await keyturn(['--help']);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    for (const command of [
      'rotate',
      'status',
      'abort',
      'extend',
      'end-grace',
      'phase-in',
      'rollback',
      'doctor',
      'audit',
      'worker',
    ]) {
      expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    }
    for (const exitCode of [0, 1, 2, 3, 130]) expect(stdout).toMatch(new RegExp(`^  ${exitCode} +\\w`, 'm'));
  });

  test('is shown when no command is given, with exit code 2', async () => {
    const { code, stderr } = await keyturn([]);
    expect(code).toBe(2);
    expect(stderr).toContain('Usage: keyturn');
  });
});

describe('a command that cannot be carried out as given ends with exit code 2 and says what was expected', () => {
  const cases: { argv: string[]; env?: Record<string, string>; says: string | RegExp }[] = [
    { argv: ['rotat'], says: 'Did you mean rotate?' },
    { argv: ['rotate'], says: "missing required argument 'secret'" },
    { argv: ['rotate', 'dev'], says: 'keyturn rotate dev --all' },
    { argv: ['rotate', '/app'], says: 'Expected <environment>/<name>' },
    { argv: ['rotate', 'dev/jwt-secret', '--concurrency', '2'], says: 'go with --all' },
    { argv: ['rotate', 'dev', '--all', '--concurrency', '0'], says: 'whole number above 0' },
    {
      argv: ['rotate', 'dev', '--all', '--type', 'passwords'],
      says: 'Expected one of all, database, api-keys, app-secrets, certificates, ssh-keys, kms-keys',
    },
    { argv: ['rotate', 'dev', '--all', '--due', '--emergency'], says: 'give either it or --due' },
    { argv: ['rotate', 'dev', '--all', '--grace-period', '1 day'], says: 'goes with one secret' },
    { argv: ['rotate', 'dev/jwt-secret', '--due'], says: 'go with --all' },
    { argv: ['rotate', 'dev/jwt-secret', '--grace-period', '3 months'], says: "such as '7 days'" },
    { argv: ['rotate', 'dev/jwt-secret', '--grace-period', '1 day', '--emergency'], says: 'no grace period' },
    { argv: ['rotate', 'dev/jwt'], says: /declares no secret "jwt".*jwt-secret/ },
    { argv: ['rotate', 'devel', '--all'], says: 'declares no environment "devel"' },
    { argv: ['rollback', 'dev/nothing'], says: 'declares no secret "nothing"' },
    { argv: ['status', 'jwt-secret'], says: 'Expected <environment>/<name>' },
    { argv: ['extend', 'dev/database/app'], says: 'either --by' },
    { argv: ['extend', 'dev/database/app', '--by', '1 day', '--until', '2030-01-01T00:00:00Z'], says: 'either --by' },
    { argv: ['extend', 'dev/database/app', '--by', 'soon'], says: 'not a duration' },
    { argv: ['extend', 'dev/database/app', '--until', '2030-01-01 00:00'], says: 'ISO 8601 time with its offset' },
    { argv: ['extend', 'dev/database/app', '--until', '2030-13-01T00:00:00Z'], says: 'ISO 8601 time with its offset' },
    { argv: ['audit', 'list'], says: 'KEYTURN_AUDIT_DATABASE_URL is not set' },
    { argv: ['audit', 'list', '--since', 'yesterday'], says: "a duration such as '2 days'" },
    { argv: ['audit', 'verify', '--expect', '12'], says: 'seq:hash' },
    {
      argv: ['rotate', 'dev/jwt-secret'],
      env: { KEYTURN_CATALOG: 'missing.yaml' },
      says: /missing\.yaml: the file does not exist/,
    },
    {
      argv: ['status'],
      env: { TEMPORAL_TLS: 'maybe', KEYTURN_LOG_LEVEL: 'loud' },
      says: /TEMPORAL_TLS is 'maybe'[^]*KEYTURN_LOG_LEVEL is 'loud'/,
    },
  ];

  test.each(cases.map((given) => [given.argv.join(' '), given] as const))(
    'keyturn %s',
    async (_, { argv, env, says }) => {
      const [forPeople, forPrograms] = await Promise.all([keyturn(argv, env), keyturn([...argv, '--json'], env)]);

      expect(forPeople).toMatchObject({ code: 2, stdout: '' });
      expect(forPeople.stderr).toMatch(says);
      expectNoStack(forPeople);

      expect(forPrograms).toMatchObject({ code: 2, stderr: '' });
      const document = JSON.parse(forPrograms.stdout) as { ok: boolean; error: { type: string; message: string } };
      expect(document.ok).toBe(false);
      expect(document.error.type).toMatch(/^\w+$/);
      expect(document.error.message).toMatch(says);
    },
  );

  test('a malformed catalog is named with file, line and path', async () => {
    await writeFile(
      join(folder, 'bad.yaml'),
      'environments:\n  dev:\n    secrets:\n      app:\n        type: databse\n',
    );
    const ended = await keyturn(['rotate', 'dev/app'], { KEYTURN_CATALOG: 'bad.yaml' });
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toMatch(/bad\.yaml:5:\d+ environments\.dev\.secrets\.app\.type: /);
    expectNoStack(ended);
  });
});

describe('a server that does not answer', () => {
  test('is named, with exit code 1 and what to check, by every command that needs it', async () => {
    const commands = [
      'rotate dev/jwt-secret',
      'rotate dev --all',
      'rollback dev/jwt-secret',
      'status',
      'status dev/jwt-secret',
      'abort dev/jwt-secret',
      'extend dev/jwt-secret --by 1d',
      'end-grace dev/jwt-secret',
    ];
    for (const ended of await Promise.all(commands.map((command) => keyturn(command.split(' '))))) {
      expect(ended).toMatchObject({ code: 1, stdout: '' });
      expect(ended.stderr).toContain(nowhere);
      expect(ended.stderr).toContain('TEMPORAL_ADDRESS');
      expectNoStack(ended);
    }
  });

  test('is one JSON document with --json, before or after the command', async () => {
    const ends = await Promise.all([keyturn(['--json', 'status']), keyturn(['status', '--json'])]);
    for (const { code, stdout, stderr } of ends) {
      expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
      expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { message: expect.stringContaining(nowhere) } });
    }
  });

  test('an audit database out of reach is named without its password', async () => {
    const url = `postgresql://auditor:${PASSWORD}@${nowhere}/audit`;
    const ended = await keyturn(['audit', 'verify'], { KEYTURN_AUDIT_DATABASE_URL: url });
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toContain(`${nowhere}/audit`);
    expect(ended.stderr).not.toContain(PASSWORD);
    expectNoStack(ended);
  });
});

describe('doctor', () => {
  const unreachable = () => ({
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
    AWS_SECRET_ACCESS_KEY: PASSWORD,
    AWS_ENDPOINT_URL: `http://${nowhere}`,
    KEYTURN_AUDIT_DATABASE_URL: `postgresql://worker:${PASSWORD}@${nowhere}/audit`,
  });

  test('finds everything that cannot be reached, says what to do about each, and shows no password', async () => {
    const ended = await keyturn(['doctor'], unreachable());
    expect(ended.code).toBe(1);
    expect(ended.stdout).toMatch(/^✓ configuration/m);
    expect(ended.stdout).toMatch(/^✓ catalog .* declares 2 secrets/m);
    expect(ended.stdout).toMatch(/^✗ Temporal .*TEMPORAL_ADDRESS/m);
    expect(ended.stdout).toMatch(/^– worker/m);
    expect(ended.stdout).toMatch(/^✗ audit database .*\n {4}→ .*KEYTURN_AUDIT_DATABASE_URL/m);
    expect(ended.stdout).toMatch(/^✗ secret dev\/jwt-secret .*\n {4}→ .*AWS_ENDPOINT_URL/m);
    expect(ended.stdout).toMatch(/^– database of dev\/database\/app/m);
    expect(ended.stdout + ended.stderr).not.toContain(PASSWORD);
    expect(ended.stdout + ended.stderr).not.toContain('\u001b[');
    expectNoStack(ended);
  });

  test('is one JSON document with --json', async () => {
    const { code, stdout, stderr } = await keyturn(['doctor', '--json'], unreachable());
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    const { ok, error } = JSON.parse(stdout) as { ok: boolean; error: { type: string; details: { checks: object[] } } };
    expect({ ok, type: error.type }).toEqual({ ok: false, type: 'ChecksFailed' });
    expect(error.details.checks).toContainEqual(
      expect.objectContaining({ name: 'AWS region', state: 'ok', found: 'eu-central-1' }),
    );
  });

  test('says every mistake of the catalog', async () => {
    await writeFile(
      join(folder, 'two.yaml'),
      'environments:\n  dev:\n    secrets:\n      a:\n        type: x\n      b:\n        type: y\n',
    );
    const { code, stdout } = await keyturn(['doctor'], { KEYTURN_CATALOG: 'two.yaml' });
    expect(code).toBe(1);
    expect(stdout).toMatch(/two\.yaml:5:/);
    expect(stdout).toMatch(/two\.yaml:7:/);
  });
});

test('a worker with a wrong configuration says everything that is missing and does not start', async () => {
  const ended = await keyturn(['worker'], { KEYTURN_HEALTH_ADDRESS: 'everywhere' });
  expect(ended).toMatchObject({ code: 2, stdout: '' });
  for (const setting of ['KEYTURN_HEALTH_ADDRESS', 'KEYTURN_AUDIT_DATABASE_URL', 'AWS_REGION']) {
    expect(ended.stderr).toContain(setting);
  }
  expectNoStack(ended);
});
