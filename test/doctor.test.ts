import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SEARCH_ATTRIBUTES } from '../src/rotation/names';
import { freePort } from './lab/ports';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import { createOwnAuditDatabase } from './testbed/own-audit-database';
import type { OwnAuditDatabase } from './testbed/own-audit-database';
import { checkNamed, checksOf } from './testbed/doctor-checks';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

let bed: Testbed;
let cli: Cli;
let healthy: TestDependent;
let nowhere: string;

beforeAll(async () => {
  bed = await openTestbed();
  cli = createCli(bed);
  healthy = await startDependent('shop');
  nowhere = `127.0.0.1:${await freePort()}`;
  await bed.startWorker();
  await bed.databases.singleUser('app');
  await bed.databases.alternatingUsers('orders', { declaration: { dependents: [healthy.declaration] } });
});
afterAll(async () => {
  await cli.stop();
  await healthy.stop();
  await bed.close();
});

const id = (secret: string) => bed.secrets.idOf(secret);

test('everything in order ends with 0, with one line per check and nothing to do but for what it cannot try', async () => {
  const { code, stdout, stderr } = await cli.run(['doctor']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const line of [
    /^✓ configuration +every setting is well-formed$/m,
    /^✓ Temporal +answers at \S+, namespace default$/m,
    /^✓ search attributes +all four exist as Keyword$/m,
    /^✓ worker +task queue \S+: \d+@\S+ \(polled \d+ m?s ago\)$/m,
    /^✓ audit database +this login may append and read$/m,
    /^✓ catalog +\S+ declares 3 secrets$/m,
    /^✓ AWS region /m,
    /^✓ AWS credentials /m,
    /^– AWS write permissions +not tried: .*\n {4}→ The worker needs secretsmanager:CreateSecret, /m,
    /^✓ secret \S+\/unused +does not exist yet; the first rotation creates it$/m,
    /^✓ secret \S+\/app +readable, AWSCURRENT is version /m,
    /^✓ database of \S+\/app +".+" on 127\.0\.0\.1:\d+ logs in \(sslmode disable\)$/m,
    /^✓ admin of \S+\/orders +".+_admin" \(\S+\) logs in and may do what a rotation needs$/m,
    /^✓ dependent shop of \S+\/orders +http:\/\/\S+ answers 200$/m,
  ]) {
    expect(stdout).toMatch(line);
  }
  expect(stdout).not.toMatch(/^[✗!]/m);
});

describe('what is wrong with the surroundings', () => {
  test('a task queue that nobody polls', async () => {
    expect(await checkNamed(cli, 'worker', { KEYTURN_TASK_QUEUE: 'nobody-polls-this' })).toEqual({
      name: 'worker',
      state: 'failed',
      found: 'no worker polls task queue nobody-polls-this for workflows and activities',
      todo: 'Start one: keyturn worker',
    });
  });

  test('search attributes that are missing, and one of another type', async () => {
    const namespace = `doctor-${bed.environment}`;
    const { connection } = bed.client;
    await bed.client.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
    });
    const { operatorService } = connection as { operatorService?: OperatorService };
    if (!operatorService) throw new Error('the client has no operator service');
    try {
      const asText = { namespace, searchAttributes: { [SEARCH_ATTRIBUTES.phase]: 1 } };
      await until('the namespace takes an attribute', () =>
        operatorService.addSearchAttributes(asText).catch(() => false),
      );
      const check = await until('the attribute is listed', async () => {
        const found = await checkNamed(cli, 'search attributes', { TEMPORAL_NAMESPACE: namespace });
        return found.found.includes('is Text') && found;
      });
      expect(check).toMatchObject({
        state: 'failed',
        found: 'missing: KeyturnEnvironment, KeyturnSecret, KeyturnSecretType, KeyturnPhase (is Text)',
      });
      expect(check.todo).toContain(
        `temporal operator search-attribute remove --namespace ${namespace} --name KeyturnPhase`,
      );
      expect(check.todo).toContain(
        `temporal operator search-attribute create --namespace ${namespace} --name KeyturnEnvironment --type Keyword`,
      );
    } finally {
      await operatorService.deleteNamespace({ namespace });
    }
  });

  test('a namespace that does not exist', async () => {
    expect(await checkNamed(cli, 'Temporal', { TEMPORAL_NAMESPACE: 'no-such-namespace' })).toMatchObject({
      state: 'failed',
      found: expect.stringContaining("has no namespace 'no-such-namespace'") as string,
      todo: 'temporal operator namespace create --namespace no-such-namespace',
    });
  });

  test('an AWS endpoint where nobody answers', async () => {
    expect(await checkNamed(cli, `secret ${id('unused')}`, { AWS_ENDPOINT_URL: `http://${nowhere}` })).toMatchObject({
      state: 'failed',
      found: expect.stringContaining('Secrets Manager did not answer DescribeSecret of') as string,
      todo: 'Check AWS_REGION, AWS_ENDPOINT_URL and the network between here and AWS.',
    });
  });

  test('no AWS region', async () => {
    const checks = await checksOf(cli, { AWS_REGION: '' });
    expect(checks).toContainEqual({
      name: 'AWS region',
      state: 'failed',
      found: expect.any(String) as string,
      todo: 'Set AWS_REGION, such as eu-central-1, or the region of the AWS profile.',
    });
    expect(checks).toContainEqual({
      name: 'secrets',
      state: 'skipped',
      found: 'need the AWS region and credentials',
    });
  });

  test('no AWS credentials', async () => {
    const none = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', AWS_EC2_METADATA_DISABLED: 'true' };
    expect(await checkNamed(cli, 'AWS credentials', none)).toMatchObject({
      state: 'failed',
      todo: expect.stringContaining('Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY') as string,
    });
  });

  describe('an audit database', () => {
    let audit: OwnAuditDatabase;
    let bare: OwnAuditDatabase;

    beforeAll(async () => {
      audit = await createOwnAuditDatabase(bed);
      bare = await createOwnAuditDatabase(bed, false);
    });
    afterAll(async () => {
      await audit.drop();
      await bare.drop();
    });

    const auditCheck = (url: string) => checkNamed(cli, 'audit database', { KEYTURN_AUDIT_DATABASE_URL: url });

    test('whose login may neither append nor read', async () => {
      expect(await auditCheck(await audit.urlOfLogin())).toEqual({
        name: 'audit database',
        state: 'failed',
        found: 'this login may not append',
        todo: "As the database's administrator: GRANT keyturn_audit_writer TO <the worker's login>",
      });
    });

    test("whose login may only read is an auditor's", async () => {
      expect(await auditCheck(await audit.urlOfLogin('keyturn_audit_reader'))).toMatchObject({
        state: 'warning',
        found: 'this login may read and not append: right for an auditor, not for the worker',
      });
    });

    test('whose login may only append is right for a worker', async () => {
      expect(await auditCheck(await audit.urlOfLogin('keyturn_audit_writer'))).toEqual({
        name: 'audit database',
        state: 'ok',
        found: 'this login may append',
      });
    });

    test('that was set up before restores asked what had existed', async () => {
      await audit.asSuperuser('DROP FUNCTION keyturn_audit.has_existed(text)');
      expect(await auditCheck(await audit.urlOfLogin('keyturn_audit_writer'))).toMatchObject({
        state: 'warning',
        found: expect.stringContaining('restores cannot tell') as string,
        todo: expect.stringContaining('deploy/postgres/audit.sql') as string,
      });
    });

    test('that was set up before there were reviews', async () => {
      const login = await audit.urlOfLogin('keyturn_audit_writer');
      await audit.asSuperuser('DROP FUNCTION keyturn_audit.failures(text[], bigint, timestamptz, integer)');
      expect(await auditCheck(login)).toMatchObject({
        state: 'warning',
        found: expect.stringContaining('reviews cannot count failures') as string,
        todo: expect.stringContaining('deploy/postgres/audit.sql') as string,
      });
    });

    test('that was never set up', async () => {
      expect(await auditCheck(await bare.urlOfLogin())).toMatchObject({
        state: 'failed',
        found: 'reachable, but the audit log is not set up in it',
        todo: expect.stringContaining('deploy/postgres/audit.sql') as string,
      });
    });

    test('that is down, or refuses the password, without showing it', async () => {
      const down = await auditCheck(`postgresql://keyturn:canary-password@${nowhere}/audit`);
      expect(down).toMatchObject({
        state: 'failed',
        todo: expect.stringContaining('KEYTURN_AUDIT_DATABASE_URL') as string,
      });
      expect(JSON.stringify(down)).not.toContain('canary-password');
      const url = new URL(await audit.urlOfLogin());
      url.password = 'canary-password';
      const refused = await auditCheck(url.href);
      expect(refused).toMatchObject({
        state: 'failed',
        found: expect.stringContaining('password authentication failed') as string,
      });
      expect(JSON.stringify(refused)).not.toContain('canary-password');
    });

    test('that is not named here', async () => {
      expect(await auditCheck('')).toMatchObject({
        state: 'skipped',
        todo: 'Run keyturn doctor with the environment of the worker.',
      });
    });
  });

  test('a setting that is wrong; nothing else is looked at', async () => {
    const checks = await checksOf(cli, { KEYTURN_LOG_LEVEL: 'loud', TEMPORAL_TLS: 'perhaps' });
    expect(checks).toEqual([
      {
        name: 'configuration',
        state: 'failed',
        found: 'The configuration is wrong in 2 places; nothing was started or changed.',
        todo: expect.stringMatching(/^- TEMPORAL_TLS is 'perhaps'[^]*- KEYTURN_LOG_LEVEL is 'loud'/) as string,
      },
      { name: 'everything else', state: 'skipped', found: 'needs the configuration' },
    ]);
  });

  test('a catalog with a mistake is named with its line, and the rest is looked at', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'keyturn-doctor-'));
    const catalog = join(folder, 'bad.yaml');
    await writeFile(catalog, 'environments:\n  dev:\n    secrets:\n      app:\n        type: databse\n');
    try {
      const checks = await checksOf(cli, { KEYTURN_CATALOG: catalog });
      expect(checks.filter(({ state }) => state !== 'ok')).toEqual([
        {
          name: 'catalog',
          state: 'failed',
          found: expect.any(String) as string,
          todo: expect.stringMatching(/bad\.yaml:5:\d+ environments\.dev\.secrets\.app\.type/) as string,
        },
        { name: 'secrets', state: 'skipped', found: 'need the catalog' },
      ]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

/** The part of Temporal's operator service that changes namespaces. */
interface OperatorService {
  addSearchAttributes(request: { namespace: string; searchAttributes: Record<string, number> }): Promise<object>;
  deleteNamespace(request: { namespace: string }): Promise<object>;
}
