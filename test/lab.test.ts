import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readmeTable } from './testbed/documents';
import { createSecrets } from './testbed/secrets';
import { until } from './testbed/until';
import { secretsManagerOf } from './lab/aws';
import { startProcess } from './lab/processes';
import type { RunningProcess } from './lab/processes';
import { PROJECT_ROOT, projectFile } from './lab/project';

/** `npm run lab` in a folder of its own, with parts of its own beside those of the tests. */
interface LabProgram {
  program: RunningProcess;
  /** Where it writes its `env`. */
  folder: string;
  /** Where its parts keep their files. */
  temporary: string;
}

const labs: LabProgram[] = [];

async function startLab(): Promise<LabProgram> {
  const [folder, temporary] = await Promise.all(
    ['folder', 'tmp'].map((name) => mkdtemp(join(tmpdir(), `lab-${name}-`))),
  );
  if (folder === undefined || temporary === undefined) throw new Error('no folder');
  // PostgreSQL runs as an unprivileged user where the tests run as root.
  await chmod(temporary, 0o755);
  const program = startProcess(process.execPath, [projectFile('dist', 'test', 'lab', 'start-lab.js')], {
    env: { ...shellEnvironment(), TMPDIR: temporary, KEYTURN_LAB_FOLDER: folder },
  });
  const lab = { program, folder, temporary };
  labs.push(lab);
  return lab;
}

/** This process's environment without the lab that the tests share. */
function shellEnvironment(): NodeJS.ProcessEnv {
  const shared = /^(AWS_(?!SDK_JS)|TEMPORAL_|KEYTURN_(?!CACHE_DIR)|LAB_)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !shared.test(name)));
}

async function isUp({ program }: LabProgram): Promise<string> {
  await until('the lab is up', () => {
    if (!program.isRunning()) throw new Error(`The lab ended:\n${program.output()}`);
    return Promise.resolve(program.output().includes('see what was done, step by step'));
  });
  return program.output();
}

/** All processes that live, by their pids; those that are dead and not yet waited for are left out. */
async function processes(): Promise<Map<number, { parent: number; command: string }>> {
  const ps = startProcess('ps', ['-A', '-o', 'pid=,ppid=,stat=,args=']);
  await ps.exited;
  const lines = ps.output().matchAll(/^ *(\d+) +(\d+) +(\S+) +(.*)$/gm);
  return new Map(
    [...lines]
      .filter(([, , , state = '']) => !state.startsWith('Z'))
      .map(([, pid, parent, , command = '']) => [Number(pid), { parent: Number(parent), command }]),
  );
}

/** What a lab has started, however far down. */
async function startedBy({ program }: LabProgram): Promise<number[]> {
  const all = await processes();
  const found = new Set([program.pid]);
  for (let before = 0; before < found.size;) {
    before = found.size;
    for (const [pid, { parent }] of all) if (found.has(parent)) found.add(pid);
  }
  found.delete(program.pid);
  return [...found].filter((pid) => pid !== undefined);
}

/** Returns once neither processes nor files are left. */
async function nothingIsLeft({ folder, temporary }: LabProgram, started: number[]): Promise<void> {
  await until('nothing is left', async () => {
    const living = await processes();
    const files = [...(await readdir(temporary)), ...(await readdir(folder))];
    return files.length === 0 && started.every((pid) => !living.has(pid));
  });
}

afterEach(async () => {
  for (const { program, folder, temporary } of labs.splice(0)) {
    if (program.isRunning()) await program.end('SIGINT', 20_000);
    await rm(folder, { recursive: true });
    await rm(temporary, { recursive: true });
  }
});

/** Types a command into a shell in the checkout. */
async function typed(command: string): Promise<{ code: number | null; output: string }> {
  const shell = startProcess('bash', ['-c', command], { cwd: PROJECT_ROOT, env: shellEnvironment() });
  const { code } = await shell.exited;
  return { code, output: shell.output() };
}

async function succeeds(command: string): Promise<string> {
  const { code, output } = await typed(command);
  expect({ command, code, output }).toEqual({ command, code: 0, output });
  return output;
}

test('npm run lab says what to type, which works, and Ctrl-C leaves no process and no file', async () => {
  const lab = await startLab();
  const introduction = await isUp(lab);
  const envFile = join(lab.folder, 'env');
  expect((await stat(envFile)).mode & 0o777).toBe(0o600);
  const [, toTry = ''] = introduction.split('To try in another terminal:');
  const [
    source = '',
    start = '',
    rotate = '',
    startKey = '',
    phaseIn = '',
    extend = '',
    endGrace = '',
    status = '',
    ...others
  ] = toTry
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  expect({ source, others }).toEqual({ source: `source '${envFile}'`, others: [] });

  await succeeds(`${source} && ${start}`);
  expect(await succeeds(`${source} && ${rotate}`)).toMatch(/^dev\/jwt-secret: AWSCURRENT is now version /m);
  await until('it is rotated', async () => (await succeeds(`${source} && ${status}`)).includes('Phase: finished'));
  expect(await succeeds(`${source} && ${status}`)).toMatch(/^dev\/database\/app: AWSCURRENT is now version /m);

  const keyStatus = () => succeeds(`${source} && ${status.replace('database/app', 'api/payments')}`);
  for (let rotations = 0; rotations < 2; rotations++) {
    await succeeds(`${source} && ${startKey}`);
    await until('the grace period', async () => (await keyStatus()).includes('Phase: grace-period'));
    for (const command of [phaseIn, extend]) await succeeds(`${source} && ${command}`);
    expect(await keyStatus()).toMatch(/\(9 d 23 h left\)[^]*Phase-in: the new key gets 50 % of use/);
    await succeeds(`${source} && ${endGrace}`);
    await until('it is over', async () => (await keyStatus()).includes('Phase: finished'));
    expect(await keyStatus()).toMatch(/^dev\/api\/payments: AWSCURRENT is now version /m);
  }

  const env = await environmentIn(envFile);
  expect(Object.keys(env).sort()).toEqual([
    ...['AWS_ACCESS_KEY_ID', 'AWS_ENDPOINT_URL', 'AWS_REGION', 'AWS_SECRET_ACCESS_KEY'],
    ...['KEYTURN_AUDIT_DATABASE_URL', 'KEYTURN_CATALOG'],
    ...['LAB_DATABASE_URL', 'LAB_TEMPORAL_BIN', 'LAB_TEMPORAL_UI', 'TEMPORAL_ADDRESS'],
  ]);
  expect(env['KEYTURN_CATALOG']).toBe(join(lab.folder, 'keyturn.yaml'));
  expect((await fetch(env['LAB_TEMPORAL_UI'] ?? '')).status).toBe(200);
  expect(await succeeds(`${source} && node dist/src/client/cli.js doctor`)).not.toMatch(/^[✗!]/m);
  const shown = await succeeds(`${source} && "$LAB_TEMPORAL_BIN" workflow show -w rotation/dev/database/app -o json`);
  const shownKey = await succeeds(
    `${source} && "$LAB_TEMPORAL_BIN" workflow show -w rotation/dev/api/payments -o json`,
  );
  const values = [
    ...(await valuesOf('database/app', 'password', env)),
    ...(await valuesOf('api/payments', 'key', env)),
  ];
  for (const value of values) {
    expect(value.length).toBeGreaterThan(20);
    for (const text of [shown, shownKey]) {
      expect(text.includes(value) || text.includes(Buffer.from(value).toString('base64'))).toBe(false);
    }
  }

  const started = await startedBy(lab);
  expect(started.length).toBeGreaterThan(4);
  lab.program.signal('SIGINT');
  expect(await lab.program.exited).toEqual({ code: 0, signal: null });
  await nothingIsLeft(lab, started);
});

test('what the README says of a whole environment works in the lab', async () => {
  const lab = await startLab();
  await isUp(lab);
  const rows = await readmeTable();
  const keyturn = (command: string) =>
    succeeds(`source '${join(lab.folder, 'env')}' && ${command.replace(/^keyturn /, 'npm run -s keyturn -- ')}`);
  const row = async (name: string) => {
    const outputs: string[] = [];
    for (const command of rows.get(name)?.keyturn ?? []) outputs.push(await keyturn(command));
    expect(outputs).not.toEqual([]);
    return outputs.join('\n');
  };

  await row('what is rotated by itself, and when');
  await keyturn('keyturn plan dev --check');
  expect(await row('everything of an environment')).toMatch(/\b0 failed/);
  await row('both keys work: promote the new one now');
  await until('it is over', async () => (await keyturn('keyturn status dev/api/payments')).includes('Phase: finished'));
  expect(await row('how old they are, and what is to be reviewed')).toContain('database/app');
  await row('back up, and see what a restore would do');
  await row('go back to the version before');
  expect(await keyturn('keyturn restore dev --from latest --yes')).toMatch(
    /^database\/app +AWSCURRENT differs +restored$/m,
  );
  await row('is everything in order');
  await row('who did what');
});

test('npm run lab that is killed leaves no process and no file', async () => {
  const lab = await startLab();
  await isUp(lab);
  const started = await startedBy(lab);
  expect(started.length).toBeGreaterThan(4);
  lab.program.signal('SIGKILL');
  expect(await lab.program.exited).toEqual({ code: null, signal: 'SIGKILL' });
  await nothingIsLeft(lab, started);
});

test('npm run lab that is stopped while it starts leaves no process and no file', async () => {
  const lab = await startLab();
  const started = await until('its parts are starting', async () => {
    const pids = await startedBy(lab);
    return existsSync(lab.temporary) && (await readdir(lab.temporary)).length > 0 && pids.length > 2 && pids;
  });
  lab.program.signal('SIGINT');
  expect(await lab.program.exited).toEqual({ code: 130, signal: null });
  await nothingIsLeft(lab, started);
});

/** What a shell has after it has sourced the file. */
async function environmentIn(file: string): Promise<Record<string, string>> {
  const names = [...(await readFile(file, 'utf8')).matchAll(/^export (\w+)=/gm)].map(([, name = '']) => name);
  const output = await succeeds(`source '${file}' && node -p 'JSON.stringify(process.env)'`);
  const env = JSON.parse(output) as Record<string, string>;
  return Object.fromEntries(names.map((name) => [name, env[name] ?? '']));
}

/** A field's values before and after the rotation. */
async function valuesOf(secret: string, field: string, env: Record<string, string>): Promise<string[]> {
  const client = secretsManagerOf({
    endpoint: env['AWS_ENDPOINT_URL'] ?? '',
    region: env['AWS_REGION'] ?? '',
    credentials: { accessKeyId: env['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: env['AWS_SECRET_ACCESS_KEY'] ?? '' },
  });
  try {
    const { value } = createSecrets(client, 'dev');
    const versions = await Promise.all(['AWSCURRENT', 'AWSPREVIOUS'].map((stage) => value(secret, stage)));
    return versions.map((text) => (JSON.parse(text) as Record<string, string>)[field] ?? '');
  } finally {
    client.destroy();
  }
}
