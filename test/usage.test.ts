import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { UsageClient } from '../src/client/usage-client';
import { rotationWorkflowId } from '../src/rotation/names';
import { USAGE_SIGNAL, USAGE_WORKFLOW, usageProblem, usageWorkflowId } from '../src/rotation/usage';
import type { UsageReport, UsageStatus } from '../src/rotation/usage';
import { createApiKey } from './testbed/api-keys';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { startDependent } from './testbed/dependent';
import { startFakeKeyService } from './testbed/fake-key-service';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

let bed: Testbed;
let cli: Cli;
let usage: UsageClient;

beforeAll(async () => {
  bed = await openTestbed();
  cli = createCli(bed);
  usage = new UsageClient(bed.client, bed.taskQueue);
  await bed.startWorker();
});
afterAll(async () => {
  for (const secret of ['counted', 'worn', 'broken', 'kept', 'watched']) {
    await monitor(secret)
      .terminate('the test is over')
      .catch(() => undefined);
  }
  await cli.stop();
  await bed.close();
});

const monitor = (secret: string): WorkflowHandle =>
  bed.client.workflow.getHandle(usageWorkflowId(bed.environment, secret));
const status = (secret: string) => monitor(secret).query<UsageStatus>('status');
const report = (secret: string, count: number, batch: string = randomUUID()) =>
  usage.report({ environment: bed.environment, secret }, { batch, count });

async function declare(secret: string, more: Record<string, unknown>): Promise<void> {
  await bed.secrets.create(secret, `first-value-of-${secret}`);
  await bed.declare({ [secret]: { type: 'app-secret', ...more } });
}

/** How often a secret was rotated. */
async function rotationsOf(secret: string): Promise<number> {
  return (await bed.secrets.versionIds(secret)).length - 1;
}

test('counts are exact under 50,000 uses that 20 clients report with resent batches while the worker is killed, and the rotation starts once', async () => {
  await declare('counted', { rotateAfterUses: 50_000 });
  const worker = await bed.startWorker();
  let sent = 0;
  const client = async () => {
    for (let n = 0; n < 250; n++) {
      const batch = randomUUID();
      // All but the last use of all.
      const count = ++sent === 5_000 ? 9 : 10;
      await report('counted', count, batch);
      if (n % 4 === 0) await report('counted', count, batch);
    }
  };
  const clients = Promise.all(Array.from({ length: 20 }, client));
  await until('half is sent', () => Promise.resolve(sent > 2_500));
  await worker.kill('SIGKILL');
  await bed.startWorker();
  await clients;
  const counted = await until('all are counted', async () => {
    const found = await status('counted').catch(() => undefined);
    return found && found.reports.counted + found.reports.repeated === 6_260 && found;
  });
  expect(counted).toMatchObject({
    uses: 49_999,
    total: 49_999,
    reports: { counted: 5_000, repeated: 1_260, refused: 0 },
    rotations: 0,
  });
  expect(await rotationsOf('counted')).toBe(0);
  const first = await monitor('counted').describe();
  expect(first.raw.workflowExecutionInfo?.firstRunId).not.toBe(first.runId);

  await Promise.all([report('counted', 1), report('counted', 1), report('counted', 1)]);
  const rotated = await until('it is rotated', async () => {
    const found = await status('counted');
    return found.rotations > 0 && !found.rotation && found;
  });
  const { current } = await bed.secrets.labels('counted');
  expect(rotated).toMatchObject({ total: 50_002, rotations: 1, version: current });
  expect(rotated.uses).toBeLessThanOrEqual(2);
  expect(await rotationsOf('counted')).toBe(1);
  expect(
    (await bed.client.workflow.getHandle(rotationWorkflowId(bed.environment, 'counted')).describe()).status.name,
  ).toBe('COMPLETED');
});

test('each version is counted from the start, and uses that come while a rotation runs are those of the new one', async () => {
  await declare('worn', { rotateAfterUses: 100 });
  const point = { secretId: bed.secrets.idOf('worn'), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  await report('worn', 100);
  await bed.pauses.reached(point);
  await report('worn', 250);
  expect(await until('it counted', async () => (await status('worn')).uses === 250 && status('worn'))).toMatchObject({
    rotation: { uses: 100 },
    rotations: 1,
  });
  await bed.pauses.goOn(point);
  await until('the next one has ended', async () => {
    const { rotations, rotation } = await status('worn');
    return rotations === 2 && !rotation;
  });
  expect(await status('worn')).toMatchObject({ uses: 0, total: 350 });
  expect(await rotationsOf('worn')).toBe(2);
});

test('a rotation that fails takes no count away, and is not begun again and again', async () => {
  const dependent = await startDependent('shop', '1 second');
  bed.alsoStop(dependent);
  dependent.answer(() => Promise.resolve(dependent.asked > 1 ? 200 : 503));
  await declare('broken', { rotateAfterUses: 5, dependents: [dependent.declaration] });
  await report('broken', 7);
  const failed = await until('it failed', async () => {
    const found = await status('broken');
    return found.problem && found;
  });
  expect(failed).toMatchObject({
    uses: 7,
    rotations: 1,
    problem: { message: expect.stringContaining('deliver') as string },
  });
  await report('broken', 3);
  await until('it counted', async () => (await status('broken')).uses === 10);
  expect(await status('broken')).toMatchObject({ rotations: 1 });
});

test('a rotation that brought a new version but could not revoke the old key is not begun again', async () => {
  const service = await startFakeKeyService();
  bed.alsoStop(service);
  bed.alsoSecret(() => service.everyValue());
  service.answerWith('DELETE /keys/:id', { status: 403 }, 100);
  await createApiKey(bed, service, 'kept', { rotateAfterUses: 5, gracePeriod: '0 seconds' });
  await report('kept', 7);
  const ended = await until('it has ended', async () => {
    const found = await status('kept');
    return found.rotations > 0 && !found.rotation && found;
  });
  const rotation = bed.client.workflow.getHandle(rotationWorkflowId(bed.environment, 'kept'));
  expect(await failureOf(rotation.result())).toMatchObject({ type: 'RetirementIncomplete' });
  const { current } = await bed.secrets.labels('kept');
  expect(ended).toMatchObject({ uses: 0, total: 7, rotations: 1, version: current });
  expect(ended.problem).toBeUndefined();
});

test('a report that makes no sense is refused in words and changes no count', async () => {
  await declare('watched', {});
  await report('watched', 4, 'first');
  for (const bad of [-1, 0, 1.5, NaN, Infinity, 1_000_000_001, '7', null, undefined]) {
    const given = { batch: 'bad', count: bad } as UsageReport;
    expect(usageProblem(given)).toContain('count is not a whole number from 1 to 1000000000');
    await monitor('watched').signal(USAGE_SIGNAL, given);
  }
  await monitor('watched').signal(USAGE_SIGNAL, { batch: 'x'.repeat(65), count: 1 });
  await monitor('watched').signal(USAGE_SIGNAL, 'nonsense');
  await monitor('watched').signal(USAGE_SIGNAL);
  await report('watched', 4, 'first');
  const counted = await until('all arrived', async () => {
    const found = await status('watched');
    return found.reports.refused === 12 && found.reports.repeated === 1 && found;
  });
  expect(counted).toMatchObject({
    uses: 4,
    total: 4,
    rotations: 0,
    lastRefusal: 'batch is not a text of 1 to 64 characters',
  });
  await expect(report('watched', -3)).rejects.toThrow(`No use of ${bed.environment}/watched was counted.`);
});

test('what the catalog does not declare, or what runs under another ID, is refused', async () => {
  await report('undeclared', 1);
  expect(await failureOf(monitor('undeclared').result())).toMatchObject({
    type: 'UsageRefused',
    message: expect.stringContaining('the catalog declares no secret undeclared') as string,
  });
  const elsewhere = bed.client.workflow.execute(USAGE_WORKFLOW, {
    taskQueue: bed.taskQueue,
    workflowId: `elsewhere-${randomUUID()}`,
    args: [{ environment: bed.environment, secret: 'unused' }],
  });
  expect(await failureOf(elsewhere)).toMatchObject({ type: 'UsageRefused' });
});

test('keyturn usage reports uses and shows the counts', async () => {
  const { environment } = bed;
  const reported = (count: string, batch = 'by-cli') =>
    cli.run(['usage', 'report', environment, 'unused', '--count', count, '--batch', batch]);
  expect(await cli.run(['usage', environment, 'unused'])).toMatchObject({
    code: 0,
    stdout: `No uses of ${environment}/unused were reported.\n`,
  });
  expect(await reported('12')).toMatchObject({ code: 0, stdout: expect.stringContaining('12 uses of') as string });
  expect(await reported('12')).toMatchObject({ code: 0 });
  for (const bad of ['-1', '0', '1e3', 'NaN', '99999999999999']) {
    expect(await reported(bad)).toMatchObject({ code: 2, stdout: '' });
  }
  expect(await cli.run(['usage', 'report', environment, 'nothing', '--count', '1', '--batch', 'a'])).toMatchObject({
    code: 2,
  });
  await until('both arrived', async () => (await status('unused')).reports.repeated === 1);
  const { ok, result } = await cli.json<{ secrets: UsageStatus[] }>(['usage', environment]);
  expect(ok).toBe(true);
  expect(result.secrets.find(({ secret }) => secret === 'unused')).toMatchObject({ uses: 12, total: 12 });
  expect((await cli.run(['usage', environment, 'unused'])).stdout).toMatch(
    /^unused +12 +never +12 +1 +1 +0 +0 so far$/m,
  );
  await monitor('unused').terminate('the test is over');
});
