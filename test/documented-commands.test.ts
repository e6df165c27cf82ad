import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rotationWorkflowId } from '../src/rotation/names';
import type { RotationResult, RotationStatus } from '../src/rotation/types';
import { startProcess } from './lab/processes';
import { projectFile } from './lab/project';
import { createBackupPlace } from './testbed/backups';
import type { BackupPlace } from './testbed/backups';
import { createApiKey } from './testbed/api-keys';
import { guideCommands, readmeTable } from './testbed/documents';
import type { DocumentedRow } from './testbed/documents';
import { startFakeKeyService } from './testbed/fake-key-service';
import type { FakeKeyService } from './testbed/fake-key-service';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

const TEMPORAL = process.env.LAB_TEMPORAL_BIN;
if (!TEMPORAL && process.env.CI === 'true') throw new Error('There is no Temporal CLI, which these tests need.');
const described = TEMPORAL ? describe : describe.skip;

let bed: Testbed;
let place: BackupPlace;
let keyService: FakeKeyService;
/** Holds `keyturn` and `temporal` under the names that the documents call them by. */
let bin: string;

beforeAll(async () => {
  place = await createBackupPlace();
  [bed, keyService] = await Promise.all([openTestbed(place.policy), startFakeKeyService()]);
  bed.alsoSecret(() => keyService.everyValue());
  bin = await mkdtemp(join(tmpdir(), 'keyturn-bin-'));
  await symlink(TEMPORAL ?? '/nonexistent', join(bin, 'temporal'));
  const cli = projectFile('dist', 'src', 'client', 'cli.js');
  await writeFile(join(bin, 'keyturn'), `#!/bin/sh\nexec '${process.execPath}' '${cli}' "$@"\n`, { mode: 0o755 });
  await bed.startWorker();
  await bed.secrets.create('signing-key', 'first-value-of-the-signing-key');
  await bed.declare({ 'signing-key': { type: 'app-secret', rotateAfterUses: 10_000 } });
  await bed.databases.singleUser('database/app');
  await bed.databases.alternatingUsers('database/orders');
  await createApiKey(bed, keyService, 'api/payments', { gracePeriod: '7 days' });
});
afterAll(async () => {
  await rm(bin, { recursive: true });
  await bed.close();
  await keyService.stop();
  place.close();
});

const keyRotation = () => bed.client.workflow.getHandle(rotationWorkflowId(bed.environment, 'api/payments'));

/** Waits until both of the API key's keys work. */
function inGracePeriod(): Promise<RotationStatus> {
  return until('the grace period', async () => {
    const status = await keyRotation().query<RotationStatus>('status');
    return status.phase === 'grace-period' && status;
  });
}

/** A documented command with this test's task queue, environment and workflow IDs in place of the document's. */
function asHere(command: string): string {
  return command
    .replaceAll('--task-queue keyturn', `--task-queue ${bed.taskQueue}`)
    .replaceAll(/\b(dev|production)\//g, `${bed.environment}/`)
    .replaceAll(/'production'/g, `'${bed.environment}'`)
    .replaceAll('"environment":"dev"', `"environment":"${bed.environment}"`)
    .replaceAll(/\b(dev|production) --all\b/g, `${bed.environment} --all`)
    .replaceAll(/\bfleet\/dev\b/g, `fleet/${bed.environment}`)
    .replaceAll(
      /\b(ages|apply|backup|plan|report|restore|review|status|usage) (dev|production)\b(?![/-])/g,
      `$1 ${bed.environment}`,
    )
    .replaceAll('my-run', `my-run-${bed.environment}`);
}

/** Types a command into a shell, exactly as it is documented. */
async function typed(command: string): Promise<{ code: number | null; output: string }> {
  const here = asHere(command);
  const shell = startProcess('bash', ['-c', here], {
    env: { HOME: '/nonexistent', ...bed.env, PATH: `${bin}:${process.env.PATH}` },
  });
  const { code } = await shell.exited;
  const output = shell.output();
  bed.alsoScan(here, output);
  return { code, output };
}

async function succeeds(command: string): Promise<string> {
  const { code, output } = await typed(command);
  expect({ command, code, output }).toEqual({ command, code: 0, output });
  return output;
}

described('what the README says to type (skipped where there is no Temporal CLI)', () => {
  const workflowId = () => `rotation/${bed.environment}/database/app`;
  const handle = () => bed.client.workflow.getHandle(workflowId());
  const status = () => handle().query<RotationStatus>('status');
  const untried = new Set<string>();
  let rows: Map<string, DocumentedRow>;

  beforeAll(async () => {
    rows = await readmeTable();
    for (const { keyturn, temporal } of rows.values()) [...keyturn, ...temporal].forEach((text) => untried.add(text));
  });

  /** The one command of a row, marked as tried. */
  function documented(row: string, tool: 'keyturn' | 'temporal'): string {
    const command = rows.get(row)?.[tool][0];
    if (command === undefined) throw new Error(`README.md has no row '${row}' with a ${tool} command`);
    untried.delete(command);
    return command;
  }

  /** Lets a command meet a rotation that stands still in the middle. */
  async function whileRotating(work: () => Promise<void>): Promise<RotationResult> {
    const point = { secretId: `${bed.environment}/database/app`, step: 'promote', when: 'before' } as const;
    await bed.pauses.stopAt(point);
    const started = await bed.start('database/app');
    await bed.pauses.reached(point);
    await work();
    await bed.pauses.goOn(point);
    return (await started.result()) as RotationResult;
  }

  /** Two ways of doing the same, each followed by the proof that it did it. */
  const ways = (row: string) => [documented(row, 'keyturn'), documented(row, 'temporal')];

  test('rotates a database credential, and its history holds no secret', async () => {
    for (const command of ways('rotate')) {
      const before = await bed.secrets.labels('database/app');
      await succeeds(command);
      expect(await handle().result()).toMatchObject({ outcome: 'rotated', versions: { previous: before.current } });
      expect(await bed.databases.opens('database/app')).toBe(true);
      expect(await bed.databases.opens('database/app', 'AWSPREVIOUS')).toBe(false);
      const shown = await succeeds(`temporal workflow show --workflow-id ${workflowId()} -o json`);
      const { events } = JSON.parse(shown) as { events: object[] };
      expect(events.length).toBeGreaterThan(20);
      await succeeds(`temporal workflow show --workflow-id ${workflowId()} --detailed`);
    }
  });

  test('leaves a story in words where the web UI looks for it', async () => {
    const { currentDetails } = await handle().query<{ currentDetails: string }>('__temporal_workflow_metadata');
    expect(currentDetails).toContain(`**${bed.environment}/database/app** (database): **rotated**`);
    for (const { summary } of (await status()).steps) expect(currentDetails).toContain(`| ${summary} |`);
    const { events } = await handle().fetchHistory();
    const scheduled = (events ?? []).filter((event) => event.activityTaskScheduledEventAttributes);
    expect(scheduled.length).toBeGreaterThan(0);
    for (const { userMetadata } of scheduled) {
      expect(Buffer.from(userMetadata?.summary?.data ?? '').toString()).toMatch(/^"\w+ .+"$/);
    }
  });

  test('rotates through the front door, which looks the type up', async () => {
    for (const command of ways('any type, looked up in the catalog')) {
      const before = await bed.secrets.labels('database/app');
      await succeeds(command);
      await until('it is rotated', async () => (await bed.secrets.labels('database/app')).previous === before.current);
      await handle().result();
    }
    expect(await bed.client.workflow.getHandle(`my-run-${bed.environment}`).result()).toMatchObject({
      outcome: 'rotated',
    });
  });

  test('only says what would be done', async () => {
    const before = await bed.secrets.labels('database/app');
    const output = await succeeds(documented('only say what would be done', 'keyturn'));
    expect(output).toContain('Dry run, nothing was touched.');
    const addition = documented('only say what would be done', 'temporal');
    await succeeds(documented('rotate', 'temporal').replace('}', `,${addition}}`));
    expect(await handle().result()).toMatchObject({ outcome: 'dry-run' });
    expect(await bed.secrets.labels('database/app')).toEqual(before);
  });

  test('says where it stands', async () => {
    await whileRotating(async () => {
      const [keyturn = '', temporal = ''] = ways('where does it stand');
      expect(await succeeds(keyturn)).toContain('Phase: rotating');
      expect(await succeeds(temporal)).toMatch(/"phase": ?"rotating"/);
    });
  });

  test('stops it and undoes', async () => {
    const before = await bed.secrets.labels('database/app');
    const answered = documented('the same, with an answer', 'temporal');
    for (const command of [...ways('stop it and undo'), answered]) {
      const result = await whileRotating(async () => {
        const output = await succeeds(command);
        if (command === answered) expect(output).toContain('the rotation stops, and what it did is undone');
        await until('the request has arrived', async () => (await status()).requests.length === 1);
      });
      expect(result).toMatchObject({ outcome: 'aborted', reason: 'typo' });
      expect(await bed.secrets.labels('database/app')).toEqual(before);
      expect(await bed.databases.opens('database/app')).toBe(true);
    }
  });

  test('goes back to the version before', async () => {
    for (const command of ways('go back to the version before')) {
      const before = await bed.secrets.labels('database/app');
      await succeeds(command);
      await handle().result();
      expect(await bed.secrets.labels('database/app')).toMatchObject({
        current: before.previous,
        previous: before.current,
      });
      expect(await bed.databases.opens('database/app')).toBe(true);
    }
  });

  test('rotates an API key and steers its grace period', async () => {
    for (const tool of ['keyturn', 'temporal'] as const) {
      await succeeds(documented('rotate an API key', tool));
      const { graceEndsAt = '' } = await inGracePeriod();
      await succeeds(documented('both keys work: give it longer', tool));
      await until('its end has moved', async () => {
        const moved = Date.parse((await inGracePeriod()).graceEndsAt ?? '') - Date.parse(graceEndsAt);
        return moved === 3 * 86_400_000;
      });
      await succeeds(documented('both keys work: give the new one half', tool));
      await until('its share has grown', async () => (await inGracePeriod()).phaseInPercent === 50);
      const [old, candidate] = keyService.keys();
      await succeeds(documented('both keys work: promote the new one now', tool));
      expect(await keyRotation().result()).toMatchObject({ outcome: 'rotated', type: 'api-key' });
      expect(keyService.keys()).toMatchObject([{ id: candidate?.id, active: true }]);

      await succeeds(documented('rotate an API key', tool));
      await inGracePeriod();
      await succeeds(documented('both keys work: keep the old one', tool));
      expect(await keyRotation().result()).toMatchObject({ outcome: 'aborted' });
      expect(keyService.keys().map(({ id }) => id)).toEqual([candidate?.id]);
      expect(old?.id).not.toBe(candidate?.id);
    }
  });

  test('works on a whole environment, examines everything, and reads the audit log', async () => {
    for (const command of ways('everything of an environment')) {
      await succeeds(command);
      const report = await bed.client.workflow.getHandle(`fleet/${bed.environment}`).result();
      expect(report).toMatchObject({ environment: bed.environment, failed: 0, notStarted: 0 });
    }
    for (const row of [
      'what is rotated by itself, and when',
      'how old they are, and what is to be reviewed',
      'back up, and see what a restore would do',
      'is everything in order',
      'who did what',
    ]) {
      const { keyturn = [], temporal = [] } = rows.get(row) ?? {};
      for (const command of [...keyturn, ...temporal]) {
        await succeeds(command);
        untried.delete(command);
      }
    }
  });

  test('with nothing left in its table that was not tried here', () => {
    expect([...untried]).toEqual([]);
  });
});

described("what the operators' guide says to type (skipped where there is no Temporal CLI)", () => {
  test('works as it is written', async () => {
    const commands = await guideCommands();
    expect(commands.length).toBeGreaterThan(15);
    await bed.rotate('database/orders');
    const [head] = /\d+:[0-9a-f]{64}/.exec(await succeeds('keyturn audit verify')) ?? [];
    let backup = '';
    for (const command of commands) {
      const steers = command.includes('/api/payments');
      if (steers) await inGracePeriodAgain();
      const output = await succeeds(command.replace(/\d+:9f2c…/, head ?? '').replace('20300131T080000.000Z', backup));
      backup = /\d{8}T\d{6}\.\d{3}Z/.exec(output)?.[0] ?? backup;
      if (steers && / abort |end-grace|name (abort|endGracePeriod)/.test(command)) await keyRotation().result();
    }
  });
});

/** What the guide says of a grace period needs one. */
async function inGracePeriodAgain(): Promise<void> {
  const { status } = await keyRotation()
    .describe()
    .catch(() => ({ status: undefined }));
  if (status?.name !== 'RUNNING') await bed.start('api/payments');
  await inGracePeriod();
}
