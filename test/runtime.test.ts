import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseListenAddress } from '../src/runtime/addresses';
import type { Environment } from '../src/runtime/config';
import { ConfigError, readConfig, readWorkerConfig } from '../src/runtime/config';
import { connectTemporal } from '../src/runtime/connect-temporal';
import { startHealthServer } from '../src/runtime/health';
import { createLogger, temporalLogger } from '../src/runtime/logging';
import { explainMissingSearchAttributes, missingSearchAttributes } from '../src/runtime/search-attributes';
import { freePort } from './lab/ports';
import { startProcess } from './lab/processes';
import { projectFile } from './lab/project';

const CANARY = 'Canary-7f3a';

let directory: string;
let catalog: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyturn-test-'));
  catalog = join(directory, 'keyturn.yaml');
  await writeFile(catalog, 'environments: {}\n');
});

afterAll(() => rm(directory, { recursive: true }));

async function problemsOf(env: Environment): Promise<string[]> {
  const error: unknown = await readWorkerConfig(env).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ConfigError);
  for (const problem of (error as ConfigError).problems) expect((error as ConfigError).message).toContain(problem);
  return [...(error as ConfigError).problems];
}

/** The smallest environment that a worker starts with. */
const enough = (): Environment => ({
  AWS_REGION: 'eu-central-1',
  KEYTURN_CATALOG: catalog,
  KEYTURN_AUDIT_DATABASE_URL: 'postgresql://keyturn:password@db.example.com/audit',
});

describe('the configuration', () => {
  it('has a default for everything but the region and the audit database', async () => {
    expect(await readWorkerConfig(enough())).toEqual({
      temporal: {
        address: 'localhost:7233',
        namespace: 'default',
        connection: expect.objectContaining({ address: 'localhost:7233' }) as unknown,
      },
      taskQueue: 'keyturn',
      catalogPath: catalog,
      logLevel: 'info',
      auditDatabaseUrl: enough().KEYTURN_AUDIT_DATABASE_URL,
      healthAddress: { host: '127.0.0.1', port: 9465 },
      metricsAddress: { host: '127.0.0.1', port: 9464 },
      maxCachedWorkflows: 250,
      secretWritesPerSecond: 40,
      cloudWatchMetrics: false,
    });
  });

  it('is refused with one message that names every wrong setting', async () => {
    const problems = await problemsOf({
      AWS_REGION: 'eu-central-1',
      AWS_ENDPOINT_URL: 'localhost:4566',
      KEYTURN_CATALOG: '/no/such/keyturn.yaml',
      KEYTURN_AUDIT_DATABASE_URL: `mysql://keyturn:${CANARY}@db/audit`,
      KEYTURN_HEALTH_ADDRESS: '9465',
      KEYTURN_METRICS_ADDRESS: 'metrics.example.com:9464',
      KEYTURN_LOG_LEVEL: 'loud',
      KEYTURN_MAX_CACHED_WORKFLOWS: 'many',
      KEYTURN_PAYLOAD_KMS_KEY: 'not a key',
      KEYTURN_SECRET_WRITES_PER_SECOND: '0',
      TEMPORAL_ADDRESS: 'https://temporal.example.com:7233',
      TEMPORAL_TLS: 'yes',
      TEMPORAL_TLS_CLIENT_CERT_PATH: projectFile('package.json'),
      TEMPORAL_CONFIG_FILE: '/no/such/temporal.toml',
      TEMPORAL_DEPLOYMENT_NAME: 'keyturn',
    });
    const named = problems.map((problem) => /^[A-Z_]+/.exec(problem)?.[0]).sort();
    expect(named).toEqual([
      'AWS_ENDPOINT_URL',
      'KEYTURN_AUDIT_DATABASE_URL',
      'KEYTURN_CATALOG',
      'KEYTURN_HEALTH_ADDRESS',
      'KEYTURN_LOG_LEVEL',
      'KEYTURN_MAX_CACHED_WORKFLOWS',
      'KEYTURN_METRICS_ADDRESS',
      'KEYTURN_PAYLOAD_KMS_KEY',
      'KEYTURN_SECRET_WRITES_PER_SECOND',
      'TEMPORAL_ADDRESS',
      'TEMPORAL_CONFIG_FILE',
      'TEMPORAL_DEPLOYMENT_NAME',
      'TEMPORAL_TLS',
      'TEMPORAL_TLS_CLIENT_CERT_',
    ]);
  });

  it.each([
    `mysql://keyturn:${CANARY}@db/audit`,
    `postgresql://keyturn:${CANARY}@db`,
    `postgresql://keyturn:${CANARY}/%@db/audit`,
    `keyturn:${CANARY}`,
  ])('never shows the audit database URL, such as %s', async (url) => {
    const problems = await problemsOf({ ...enough(), KEYTURN_AUDIT_DATABASE_URL: url });
    expect(problems).toEqual([expect.stringContaining('KEYTURN_AUDIT_DATABASE_URL')]);
    expect(problems.join()).not.toContain(CANARY);
  });

  it("does not show a line of Temporal's configuration file, which may hold an API key", async () => {
    const file = join(directory, 'temporal.toml');
    await writeFile(file, `[profile.default]\napi_key = "${CANARY}\n`);
    const problems = await problemsOf({ ...enough(), TEMPORAL_CONFIG_FILE: file });
    expect(problems).toEqual([expect.stringContaining('TEMPORAL_*')]);
    expect(problems.join()).not.toContain(CANARY);
  });

  it('takes an empty variable for one that is not set', async () => {
    const { temporal, taskQueue } = await readWorkerConfig({
      ...enough(),
      TEMPORAL_ADDRESS: '',
      KEYTURN_TASK_QUEUE: '',
    });
    expect({ address: temporal.address, taskQueue }).toEqual({ address: 'localhost:7233', taskQueue: 'keyturn' });
  });

  it('asks of a client neither the audit database nor the region nor the catalog', () => {
    expect(readConfig({ KEYTURN_CATALOG: '/no/such/keyturn.yaml' })).not.toHaveProperty('auditDatabaseUrl');
  });

  it.each([
    ['127.0.0.1:9465', { host: '127.0.0.1', port: 9465 }],
    ['localhost:0', { host: '127.0.0.1', port: 0 }],
    ['[::1]:80', { host: '::1', port: 80 }],
    ['::1:80', undefined],
    ['example.com:80', undefined],
    ['127.0.0.1', undefined],
    ['127.0.0.1:65536', undefined],
  ])('reads the address %s', (text, address) => {
    expect(parseListenAddress(text)).toEqual(address);
  });
});

describe('a log line', () => {
  function logOf(write: (logger: ReturnType<typeof createLogger>) => void): string {
    const lines: string[] = [];
    write(createLogger('trace', { write: (line: string) => void lines.push(line) }));
    return lines.join('');
  }

  it.each<[string, unknown]>([
    ['a field', { password: CANARY }],
    ['a nested field', { login: { secret: { SecretString: CANARY } } }],
    ['a list', { logins: [{ Authorization: CANARY }] }],
    ['a key of AWS', { credentials: { secretAccessKey: CANARY } }],
    ['a URL', { url: `postgresql://app:${CANARY}/@x@db.example.com/app?sslmode=require` }],
    ['JSON in a text', { body: JSON.stringify({ username: 'app', password: `${CANARY}"quoted` }) }],
    ['JSON in JSON in a text', { body: JSON.stringify(JSON.stringify({ password: CANARY })) }],
    ['a connection string', { dsn: `host=db password=${CANARY},more user=app` }],
    ['a header', { header: `Bearer ${CANARY}` }],
    ['a verifier', { sql: `ALTER ROLE app PASSWORD 'SCRAM-SHA-256$4096:${CANARY}$a:b'` }],
    ['bytes', { answer: Buffer.from(CANARY) }],
    [
      'what a driver hangs onto an error',
      { error: Object.assign(new Error('refused'), { query: CANARY, response: { body: CANARY } }) },
    ],
    [
      "an error's message and cause",
      { error: new Error(`password=${CANARY}`, { cause: new Error(`://u:${CANARY}@h`) }) },
    ],
  ])('holds no credential from %s', (_where, fields) => {
    expect(logOf((logger) => logger.info(fields, 'something happened'))).not.toMatch(/canary/i);
    expect(logOf((logger) => temporalLogger(logger).error('something happened', fields as never))).not.toMatch(
      /canary/i,
    );
  });

  it('holds no credential from its message', () => {
    expect(logOf((logger) => logger.warn(`cannot open postgresql://app:${CANARY}@db/app`))).not.toContain(CANARY);
  });

  it('keeps what operators need: event, names, addresses, the error and its causes', () => {
    const error = Object.assign(new Error('refused', { cause: new Error('no route') }), { code: 'ECONNREFUSED' });
    const line = logOf((logger) =>
      logger.error({ event: 'e', secretId: 'dev/database/app', url: 'http://127.0.0.1:80', error }, 'm'),
    );
    expect(JSON.parse(line)).toMatchObject({
      level: 'error',
      service: 'keyturn',
      event: 'e',
      message: 'm',
      secretId: 'dev/database/app',
      url: 'http://127.0.0.1:80',
      error: { message: 'refused', code: 'ECONNREFUSED', cause: { message: 'no route' } },
    });
  });

  it('is written even of an object that holds itself', () => {
    const self: Record<string, unknown> = { name: 'self' };
    self.self = self;
    expect(JSON.parse(logOf((logger) => logger.info(self, 'm')))).toMatchObject({ name: 'self', self: '[circular]' });
  });
});

describe('the health server', () => {
  it('is alive at once, and ready only while nothing is wrong', async () => {
    let problem: string | undefined = 'starting';
    const health = await startHealthServer({ host: '127.0.0.1', port: 0 }, [
      { name: 'worker', problem: () => problem },
      { name: 'temporal', problem: () => Promise.resolve(undefined) },
    ]);
    const ask = async (path: string) => {
      const answer = await fetch(`http://${health.address}${path}`);
      return { status: answer.status, body: (await answer.json()) as unknown };
    };
    try {
      expect((await ask('/healthz')).status).toBe(200);
      expect(await ask('/readyz')).toEqual({
        status: 503,
        body: {
          status: 'not ready',
          checks: [
            { name: 'worker', ok: false, problem: 'starting' },
            { name: 'temporal', ok: true },
          ],
        },
      });
      problem = undefined;
      expect((await ask('/readyz')).status).toBe(200);
      expect((await ask('/')).status).toBe(404);
    } finally {
      await health.close();
    }
  });
});

describe('search attributes', () => {
  const temporal = { address: 'localhost:7233', namespace: 'payments', connection: {} };
  const answering = (answer: () => Promise<unknown>) =>
    ({ operatorService: { listSearchAttributes: answer } }) as never;

  it('that are missing or of another type are explained with the command that creates them', async () => {
    const connection = answering(() =>
      Promise.resolve({ customAttributes: { KeyturnEnvironment: 2, KeyturnSecret: 2, KeyturnPhase: 1 } }),
    );
    const missing = await missingSearchAttributes(connection, 'payments');
    expect(missing).toEqual([{ name: 'KeyturnSecretType' }, { name: 'KeyturnPhase', existsAs: 'Text' }]);
    expect(explainMissingSearchAttributes(missing ?? [], temporal)).toContain(
      'temporal operator search-attribute create --namespace payments --name KeyturnSecretType --type Keyword --name KeyturnPhase --type Keyword',
    );
  });

  it('of a server that does not let us look are not taken for missing', async () => {
    const connection = answering(() => Promise.reject(Object.assign(new Error('no'), { code: 12 })));
    expect(await missingSearchAttributes(connection, 'payments')).toBeUndefined();
  });
});

describe('a worker that cannot start says why in one message, without a stack, and exits with 1', () => {
  /** Runs the built worker until it ends. */
  async function run(settings: Record<string, string>): Promise<{ code: number | null; output: string }> {
    const inherited = Object.entries(process.env).filter(([name]) => !/^KEYTURN_PAYLOAD|^NODE_OPTIONS/.test(name));
    const worker = startProcess(process.execPath, [projectFile('dist', 'src', 'worker.js')], {
      env: {
        ...Object.fromEntries(inherited),
        NODE_NO_WARNINGS: '1',
        KEYTURN_HEALTH_ADDRESS: '127.0.0.1:0',
        KEYTURN_METRICS_ADDRESS: '127.0.0.1:0',
        ...settings,
      },
    });
    const { code } = await worker.exited;
    return { code, output: worker.output() };
  }

  it('when a setting is wrong', async () => {
    const { code, output } = await run({ KEYTURN_AUDIT_DATABASE_URL: `nonsense:${CANARY}`, KEYTURN_LOG_LEVEL: 'loud' });
    expect(code).toBe(1);
    expect(output).toMatch(/wrong in 2 places/);
    expect(output).not.toMatch(/ {4}at |Canary/);
  });

  it('when the namespace does not exist', async () => {
    const { code, output } = await run({ TEMPORAL_NAMESPACE: 'no-such-namespace' });
    expect(code).toBe(1);
    expect(output).toContain('temporal operator namespace create --namespace no-such-namespace');
    expect(output).not.toContain('    at ');
  });

  it('when the namespace lacks search attributes', async () => {
    const namespace = `bare-${process.pid}`;
    const { connection, close } = await connectTemporal(readConfig(process.env));
    try {
      await connection.workflowService.registerNamespace({
        namespace,
        workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
      });
      const { code, output } = await run({ TEMPORAL_NAMESPACE: namespace });
      expect(code).toBe(1);
      expect(output).toContain(
        `temporal operator search-attribute create --namespace ${namespace} --name KeyturnEnvironment`,
      );
      expect(output).not.toContain('    at ');
    } finally {
      await connection.operatorService.deleteNamespace({ namespace });
      await close();
    }
  });

  it('when a port is taken', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const address = `127.0.0.1:${(taken.address() as { port: number }).port}`;
    try {
      for (const name of ['KEYTURN_HEALTH_ADDRESS', 'KEYTURN_METRICS_ADDRESS']) {
        const { code, output } = await run({ [name]: address });
        expect({ code, output }).toEqual({
          code: 1,
          output: expect.stringContaining(`${name}: cannot listen on ${address}`) as string,
        });
      }
    } finally {
      taken.close();
    }
  });

  it('when KMS gives no data key', async () => {
    const { code, output } = await run({ KEYTURN_PAYLOAD_KMS_KEY: 'alias/no-such-key' });
    expect(code).toBe(1);
    expect(output).toContain('KEYTURN_PAYLOAD_KMS_KEY: the KMS key alias/no-such-key gives no data key');
  });
});

it('a worker that waits for Temporal is alive but not ready, says what it waits for, and ends with 0 on SIGTERM', async () => {
  const health = `127.0.0.1:${await freePort()}`;
  const worker = startProcess(process.execPath, [projectFile('dist', 'src', 'worker.js')], {
    env: {
      ...process.env,
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      KEYTURN_HEALTH_ADDRESS: health,
      KEYTURN_METRICS_ADDRESS: '127.0.0.1:0',
    },
  });
  const waits = 'Temporal cannot be reached yet';
  while (worker.isRunning() && !worker.output().includes(waits))
    await new Promise((resolve) => setTimeout(resolve, 50));
  expect(worker.output()).toContain(waits);
  expect((await fetch(`http://${health}/healthz`)).status).toBe(200);
  expect((await fetch(`http://${health}/readyz`)).status).toBe(503);
  worker.signal('SIGTERM');
  expect(await worker.exited).toEqual({ code: 0, signal: null });
});
