import type { WorkflowHandle } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { inLanes } from '../src/rotation/in-lanes';
import { KeyturnClient } from '../src/client/keyturn-client';
import type { RotationInput, RotationResult, RotationStatus } from '../src/rotation/types';
import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import type { Situation } from './testbed/situation';
import { createSubject, hasGracePeriod, inputReaching, KINDS, stepsReached } from './testbed/subjects';
import type { Kind, Subject } from './testbed/subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { auditOf, inPhase, statusOf } from './testbed/watching';

let bed: Testbed;
let dependent: TestDependent;
let keyturn: KeyturnClient;

beforeAll(async () => {
  bed = await openTestbed();
  dependent = await startDependent('shop');
  keyturn = new KeyturnClient(bed.client, bed.taskQueue);
  await bed.startWorker();
});
afterAll(async () => {
  await dependent.stop();
  await bed.close();
});

const at = (secret: string, step: string, when: 'before' | 'after' = 'before') => ({
  secretId: bed.secrets.idOf(secret),
  step,
  when,
});

/** Starts a rotation and returns once it stands still at a step. */
async function standingAt(secret: string, step: string, when: 'before' | 'after' = 'before') {
  const point = at(secret, step, when);
  await bed.pauses.stopAt(point);
  const handle = await bed.start(secret);
  await bed.pauses.reached(point);
  return { handle, goOn: () => bed.pauses.goOn(point) };
}

describe('two starts', () => {
  test('of ten starts at once exactly one rotates, and the others are refused', async () => {
    const { secret } = await createSubject(bed, 'single-user', 'ten-starts');
    const starts = await Promise.allSettled(Array.from({ length: 10 }, () => bed.start(secret)));
    const started = starts.filter((start) => start.status === 'fulfilled');
    expect(started).toHaveLength(1);
    for (const start of starts) {
      if (start.status === 'rejected') expect(start.reason.name).toBe('WorkflowExecutionAlreadyStartedError');
    }
    expect(await started[0]?.value.result()).toMatchObject({ outcome: 'rotated' });
    expect(await bed.secrets.versionIds(secret)).toHaveLength(2);
    expect(await bed.databases.opens(secret)).toBe(true);
  });

  test('a second start while one runs says what runs since when and where it is, and starts nothing', async () => {
    const { secret } = await createSubject(bed, 'app-secret', 'second-start');
    const { handle, goOn } = await standingAt(secret, 'promote');
    const secretId = bed.secrets.idOf(secret);
    const input = { environment: bed.environment, secret };
    const { startTime } = await handle.describe();
    await expect(keyturn.start(input, 'app-secret')).rejects.toMatchObject({
      type: 'AlreadyRunning',
      message: expect.stringContaining(
        `${secretId} is already being changed: rotateAppSecret runs since ${startTime.toISOString()}, started by tester, at step promote (rotating).\nNothing was started.`,
      ),
    });
    await expect(keyturn.rollback(input, 'app-secret')).rejects.toMatchObject({ type: 'AlreadyRunning' });
    await goOn();
    expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await bed.secrets.versionIds(secret)).toHaveLength(2);
  });
});

describe('a rotation that is started under a wrong workflow ID', () => {
  test.each(['my-rotation', 'rotation/', 'rotation/other/secret', 'ROTATION'])(
    'fails at once under "%s", touches nothing, and gives the right command',
    async (workflowId) => {
      const { secret, ...subject } = await createSubject(
        bed,
        'single-user',
        `wrong-id/${workflowId.replace(/\W/g, '-')}`,
      );
      const before = await subject.situation();
      const input: RotationInput = { environment: bed.environment, secret, reason: "it's leaked" };
      const handle = await bed.client.workflow.start('rotateDatabaseCredential', {
        taskQueue: bed.taskQueue,
        workflowId: `${workflowId}${workflowId.endsWith('/') ? bed.environment : ''}`,
        args: [input],
      });
      const secretId = bed.secrets.idOf(secret);
      expect(await failureOf(handle.result())).toMatchObject({
        type: 'RotationRefused',
        message:
          `${secretId} was not rotated, and nothing was changed: a rotation of ${secretId} runs under the workflow ID rotation/${secretId} and no other; nothing was touched. ` +
          `Start it with: temporal workflow start --task-queue ${bed.taskQueue} --type rotateDatabaseCredential --workflow-id 'rotation/${secretId}' ` +
          `--input '{"environment":"${bed.environment}","secret":"${secret}","reason":"it'\\''s leaked"}'`,
        details: { step: '', cause: { type: 'WrongWorkflowId' } },
      });
      const { events = [] } = await handle.fetchHistory();
      expect(events?.filter((event) => event.activityTaskScheduledEventAttributes)).toEqual([]);
      expect(await auditOf(secretId)).toEqual([]);
      expect(await subject.situation()).toEqual(before);
    },
  );
});

describe('a rotation that is terminated after a step', () => {
  interface Scenario {
    kind: Kind;
    step: string;
  }
  interface Ended {
    before: Situation;
    after: Situation;
    result: RotationResult;
    opens: boolean;
    labelled: number;
  }
  const scenarios: Scenario[] = KINDS.flatMap((kind) =>
    stepsReached(kind).map(({ name }): Scenario => ({ kind, step: name })),
  );
  const ended = new Map<Scenario, Ended | Error>();

  beforeAll(async () => {
    await inLanes(scenarios, 16, async (scenario) => {
      ended.set(scenario, await terminateAndRotate(scenario).catch((error: Error) => error));
    });
  }, 300_000);

  async function terminateAndRotate({ kind, step }: Scenario): Promise<Ended> {
    const subject = await createSubject(bed, kind, `terminated/${kind}/${step}`.toLowerCase(), {
      dependents: [dependent.declaration],
      ...(hasGracePeriod(kind) && { gracePeriod: '1 hour' }),
    });
    const input = inputReaching(kind, 'promote');
    await bed.rotate(subject.secret, input);
    // Only one that finds what another created has something to settle.
    const created = kind === 'api-key' ? 'createKey' : 'createCandidate';
    if (step.startsWith('settle')) await terminateAfter(subject, created, input);
    const before = await subject.situation();
    await terminateAfter(subject, step, inputReaching(kind, step));
    const result = await bed.rotate(subject.secret, input);
    const after = await subject.situation();
    return { before, after, result, opens: await subject.opens(), labelled: Object.keys(after.versions).length };
  }

  async function terminateAfter({ secret }: Subject, step: string, input: Partial<RotationInput>): Promise<void> {
    const point = at(secret, step, 'after');
    await bed.pauses.stopAt(point);
    const handle = await bed.start(secret, input);
    if (step === 'gracePeriod') await inPhase(handle, 'grace-period');
    else await bed.pauses.reached(point);
    await handle.terminate('a test');
    await bed.pauses.goOn(point);
  }

  test.each(scenarios)('$step of type $kind leaves nothing that the next rotation does not clean up', (scenario) => {
    const end = ended.get(scenario);
    if (!end || end instanceof Error) throw end ?? new Error('it did not run');
    const { before, after, result, opens, labelled } = end;
    expect(result).toMatchObject({ outcome: 'rotated' });
    expect(after.labels).toEqual({
      current: result.versions.current,
      previous: result.versions.previous,
      pending: undefined,
    });
    expect(labelled).toBe(2);
    expect(after.labels.current).not.toBe(before.labels.current);
    expect(opens).toBe(true);
    expect(after.roles.map(({ rolname }) => rolname)).toEqual(before.roles.map(({ rolname }) => rolname));
  });
});

test('a catalog that is edited while a rotation runs changes the next one and not this one', async () => {
  const { secret } = await createSubject(bed, 'app-secret', 'edited', { length: 40 });
  const { handle, goOn } = await standingAt(secret, 'createCandidate');
  await bed.declare({ [secret]: { type: 'app-secret', length: 20 } });
  await goOn();
  await handle.result();
  expect(await bed.secrets.value(secret)).toHaveLength(40);
  await bed.rotate(secret);
  expect(await bed.secrets.value(secret)).toHaveLength(20);
});

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

describe('the query status', () => {
  test('says of a rotation that is under way which steps are done, which runs and which are to come', async () => {
    const subject = await createSubject(bed, 'single-user', 'status');
    const { current } = await bed.secrets.labels(subject.secret);
    const point = at(subject.secret, 'promote');
    await bed.pauses.stopAt(point);
    const handle = await bed.start(subject.secret, { reason: 'quarterly', requestedBy: 'anna' });
    await bed.pauses.reached(point);
    const status = await statusOf(handle);
    const candidate = handle.firstExecutionRunId;
    type NotYet =
      'graceEndsAt' | 'graceEndsLatest' | 'phaseInPercent' | 'keys' | 'earlierRequests' | 'emergency' | 'outcome';
    expect(status).toEqual({
      environment: bed.environment,
      secret: 'status',
      type: 'database',
      phase: 'rotating',
      step: 'promote',
      startedAt: TIME,
      requestedBy: 'anna',
      reason: 'quarterly',
      versions: { current, candidate },
      pastPointOfNoReturn: false,
      requests: [],
      steps: [
        ['loadPlan', 'done'],
        ['inspectSecret', 'done'],
        ['backUp', 'skipped'],
        ['settleLeftovers', 'skipped'],
        ['confirmCurrentLogin', 'done'],
        ['lookAtDependents', 'skipped'],
        ['createCandidate', 'done'],
        ['setPassword', 'done'],
        ['loginWithCandidate', 'done'],
        ['promote', 'running'],
        ['deliver', 'skipped'],
        ['verifyAsApplication', 'pending'],
        ['proveOldPasswordRefused', 'pending'],
        ['endEarlierSessions', 'skipped'],
      ].map(([name, state]) =>
        expect.objectContaining({
          name,
          state,
          summary: expect.any(String),
          ...((state === 'done' || state === 'running') && { startedAt: TIME }),
          ...(state === 'done' && { endedAt: TIME }),
        }),
      ),
    } satisfies Record<keyof Omit<RotationStatus, NotYet>, unknown>);
    await bed.pauses.goOn(point);
    await handle.result();
    expect(await statusOf(handle)).toMatchObject({
      phase: 'finished',
      outcome: 'rotated',
      pastPointOfNoReturn: true,
      versions: { current, candidate },
    });
  });

  test('says of a grace period when it ends', async () => {
    const { secret } = await createSubject(bed, 'alternating-users', 'grace-status', { gracePeriod: '1 hour' });
    const handle = await bed.start(secret);
    const { graceEndsAt, step, steps, pastPointOfNoReturn } = await inPhase(handle, 'grace-period');
    expect(Date.parse(graceEndsAt ?? '') - Date.now()).toBeGreaterThan(59 * 60_000);
    expect(Date.parse(graceEndsAt ?? '') - Date.now()).toBeLessThanOrEqual(60 * 60_000);
    expect({ step, pastPointOfNoReturn }).toEqual({ step: 'gracePeriod', pastPointOfNoReturn: false });
    expect(steps.find(({ name }) => name === 'gracePeriod')).toMatchObject({
      state: 'running',
      summary: 'let both logins work for 1 h',
    });
    await handle.executeUpdate('endGracePeriod');
    await handle.result();
  });

  test('says of a rotation that was rolled back what was undone, what could not be, and why', async () => {
    const { secret } = await createSubject(bed, 'app-secret', 'undone-status', {
      rollbackTimeout: '2 seconds',
      dependents: [
        { http: { name: 'sick', healthUrl: `${dependent.origin}/healthz`, expectStatus: 201, timeout: '1 second' } },
      ],
    });
    const handle = await bed.start(secret);
    expect(await failureOf(handle.result())).toMatchObject({ type: 'RollbackIncomplete' });
    const { phase, outcome, steps } = await statusOf(handle);
    expect({ phase, outcome }).toEqual({ phase: 'finished', outcome: 'rollback-incomplete' });
    const problem = `sick is not healthy: ${dependent.origin} answered 200, expected 201, for up to 1 s.`;
    expect(steps.map(({ name, state, problem: why }) => [name, state, why])).toEqual([
      ['loadPlan', 'done', undefined],
      ['inspectSecret', 'done', undefined],
      ['backUp', 'skipped', undefined],
      ['settleStaleCandidate', 'skipped', undefined],
      ['lookAtDependents', 'skipped', undefined],
      // Its AWSPENDING stays, so that the next rotation finds what is left.
      ['createCandidate', 'done', undefined],
      ['promote', 'undone', undefined],
      ['deliver', 'undo-failed', problem],
    ]);
  });
});

describe('the web UI', () => {
  const metadataOf = (handle: WorkflowHandle) =>
    handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata');

  test('shows what is rotated, who started it and why, and finds it by its search attributes', async () => {
    const { secret } = await createSubject(bed, 'app-secret', 'described');
    const secretId = bed.secrets.idOf(secret);
    const input = { environment: bed.environment, secret, requestedBy: 'anna', reason: 'audit finding 7' };
    const { workflowId } = await keyturn.start(input, 'app-secret');
    const handle = bed.client.workflow.getHandle(workflowId);
    await handle.result();
    const description = await handle.describe();
    expect(await description.staticSummary()).toBe(`Rotate ${secretId}`);
    expect(await description.staticDetails()).toBe('Started by anna (audit finding 7)');
    expect(
      Object.fromEntries(description.typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value])),
    ).toMatchObject({
      KeyturnEnvironment: bed.environment,
      KeyturnSecret: secret,
      KeyturnSecretType: 'app-secret',
      KeyturnPhase: 'finished',
    });
  });

  test('tells the story of a rotation in words', async () => {
    const { secret } = await createSubject(bed, 'app-secret', 'told');
    const secretId = bed.secrets.idOf(secret);
    const { handle, goOn } = await standingAt(secret, 'promote');
    const { current } = await bed.secrets.labels(secret);
    const { currentDetails } = await metadataOf(handle);
    const candidate = handle.firstExecutionRunId;
    expect(currentDetails?.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '(time)').split('\n')).toEqual([
      `**${secretId}** (app-secret): **rotating**, requested by tester`,
      `was \`${current}\`, candidate \`${candidate}\``,
      '',
      '| | step | since | problem |',
      '|---|---|---|---|',
      `| ✔ | read the plan of ${secretId} from the catalog | (time) |  |`,
      `| ✔ | look at the labels of ${secretId} | (time) |  |`,
      `| – | back up ${secretId} |  |  |`,
      `| – | discard the candidate that a terminated rotation of ${secretId} left |  |  |`,
      '| – | look whether the dependents can be given a new version |  |  |',
      `| ✔ | store a new version of ${secretId}, labelled AWSPENDING | (time) |  |`,
      `| ▶ | move AWSCURRENT of ${secretId} to the candidate | (time) |  |`,
      '| – | deliver to no dependents and see them healthy |  |  |',
    ]);
    await handle.signal('endGracePeriod', { requestedBy: 'ben', reason: 'too early' });
    await goOn();
    await handle.result();
    const told = (await metadataOf(handle)).currentDetails ?? '';
    expect(told).toContain(`**${secretId}** (app-secret): **rotated**`);
    expect(told).toMatch(
      /- \S+ endGracePeriod by ben: too early \(refused: the rotation of .* is not in its grace period/,
    );
  });

  test('names every activity and every timer by what it does', async () => {
    const { secret, owner } = await bed.databases.alternatingUsers('summaries');
    const handle = await bed.start(secret, { gracePeriod: '1 s' });
    await handle.result();
    const { events } = await handle.fetchHistory();
    const summaries = (events ?? [])
      .filter((event) => event.activityTaskScheduledEventAttributes ?? event.timerStartedEventAttributes)
      .map(
        ({ userMetadata }) =>
          userMetadata?.summary && defaultPayloadConverter.fromPayload<string>(userMetadata.summary),
      );
    expect(summaries).toEqual([
      `store a new version of ${bed.secrets.idOf(secret)}, labelled AWSPENDING`,
      `unlock the login that is not in use and set its password, or create it as a member of "${owner}"`,
      `move AWSCURRENT of ${bed.secrets.idOf(secret)} to the candidate`,
      expect.stringMatching(/^grace period until \d{4}-/),
      'wait until the old login has no open session',
      'lock the old login',
    ]);
  });
});
