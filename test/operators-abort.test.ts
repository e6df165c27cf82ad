import type { WorkflowHandle } from '@temporalio/client';
import { inLanes } from '../src/rotation/in-lanes';
import type { RequestAccepted, RotationResult, RotationStatus } from '../src/rotation/types';
import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import { situationOf } from './testbed/situation';
import type { Situation } from './testbed/situation';
import {
  abortableSteps,
  createSubject,
  hasGracePeriod,
  inputReaching,
  KINDS,
  LEAVES_MOST_AFTER,
} from './testbed/subjects';
import type { Kind, Subject } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { arrived, auditOf, inPhase, statusOf } from './testbed/watching';

/** An abort at one step: the rotation stands still before the step's activity until the request has reached it. */
interface Scenario {
  kind: Kind;
  step: string;
  way: (typeof WAYS)[number];
}

interface Ended {
  result: RotationResult;
  status: RotationStatus;
  answer?: RequestAccepted;
  before: Situation;
  after: Situation;
  opens: boolean;
}

const WAYS = ['update', 'signal', 'cancel'] as const;
const STEPS = KINDS.flatMap((kind) => abortableSteps(kind).map((step) => ({ kind, step })));
const SCENARIOS = STEPS.flatMap((at) => WAYS.map((way): Scenario => ({ ...at, way })));
const LANES = 24;
const REQUEST = { reason: 'wrong secret', requestedBy: 'night shift' };

let bed: Testbed;
let dependent: TestDependent;
const ended = new Map<Scenario, Ended>();
const failed = new Map<Scenario, unknown>();

beforeAll(async () => {
  bed = await openTestbed();
  dependent = await startDependent('shop');
  await bed.startWorker();
  // One secret for all ways to abort at a step: each leaves it as the next one needs it.
  await inLanes(STEPS, LANES, async ({ kind, step }) => {
    const subject = agedSubject(kind, step.toLowerCase());
    for (const scenario of SCENARIOS.filter((one) => one.kind === kind && one.step === step)) {
      await subject
        .then((ready) => abortAt(ready, scenario))
        .then(
          (end) => ended.set(scenario, end),
          (error: unknown) => failed.set(scenario, error),
        );
    }
  });
}, 300_000);
afterAll(async () => {
  await dependent.stop();
  await bed.close();
});

async function abortAt(subject: Subject, { kind, step, way }: Scenario): Promise<Ended> {
  if (step.startsWith('settle')) await leaveStale(subject);
  const before = await subject.situation();
  const point = { secretId: bed.secrets.idOf(subject.secret), step, when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const handle = await bed.start(subject.secret, inputReaching(kind, step));
  // A wait of the workflow itself has no activity that could stand still.
  if (step === 'gracePeriod') await inPhase(handle, 'grace-period');
  else await bed.pauses.reached(point);
  const answer = await request(handle, way);
  await bed.pauses.goOn(point);
  const result = (await handle.result()) as RotationResult;
  return {
    result,
    status: await statusOf(handle),
    answer: await answer.value,
    before,
    after: await subject.situation(),
    opens: await subject.opens(),
  };
}

/** One that was rotated before, so that it has an AWSPREVIOUS and, with alternating users, a second login that is locked. */
async function agedSubject(kind: Kind, name: string): Promise<Subject> {
  const subject = await createSubject(bed, kind, `${kind}/${name}`, {
    dependents: [dependent.declaration],
    ...(hasGracePeriod(kind) && { gracePeriod: '1 hour' }),
  });
  // With two logins twice, so that both are as Keyturn leaves them.
  const turns = kind === 'alternating-users' ? 2 : 1;
  const input = hasGracePeriod(kind) ? { gracePeriod: '0 s' } : {};
  for (let turn = 0; turn < turns; turn += 1) await bed.rotate(subject.secret, input);
  return subject;
}

/** What a terminated rotation leaves: a candidate, or a key that nobody owns and the secondary secret that tells of it. */
async function leaveStale({ kind, secret }: Subject): Promise<void> {
  if (kind === 'api-key') {
    const point = { secretId: bed.secrets.idOf(secret), step: LEAVES_MOST_AFTER[kind], when: 'after' } as const;
    await bed.pauses.stopAt(point);
    const handle = await bed.start(secret);
    await bed.pauses.reached(point);
    await handle.terminate();
    await bed.pauses.goOn(point);
    return;
  }
  const text = await bed.secrets.value(secret);
  await bed.secrets.putPending(
    secret,
    text.startsWith('{')
      ? JSON.stringify({ ...JSON.parse(text), password: 'stale-candidate-password' })
      : 'stale-candidate-value',
  );
}

/** Returns once the request is in the rotation's history; an update's answer comes later. */
async function request(
  handle: WorkflowHandle,
  way: Scenario['way'],
): Promise<{ value: Promise<RequestAccepted | undefined> }> {
  let value: Promise<RequestAccepted | undefined> = Promise.resolve(undefined);
  switch (way) {
    case 'update':
      value = handle.executeUpdate<RequestAccepted, [object]>('abort', { args: [REQUEST] });
      break;
    case 'signal':
      await handle.signal('abort', REQUEST);
      break;
    case 'cancel':
      await handle.cancel();
      break;
  }
  await arrived(handle, way);
  return { value };
}

describe.each(SCENARIOS)('a rotation of type $kind that is aborted by $way at $step', (scenario) => {
  const the = () => {
    if (failed.has(scenario)) throw failed.get(scenario);
    return ended.get(scenario) as Ended;
  };

  test('ends with the outcome aborted, says who asked, and leaves everything as it was', () => {
    const { result, status, answer, before, after, opens } = the();
    const asked = scenario.way === 'cancel' ? {} : REQUEST;
    expect(result).toMatchObject({ outcome: 'aborted', versions: { current: before.labels.current }, ...asked });
    expect(status).toMatchObject({ phase: 'finished', outcome: 'aborted', pastPointOfNoReturn: false });
    expect(status.requests).toEqual(
      scenario.way === 'cancel' ? [] : [expect.objectContaining({ request: 'abort', ...REQUEST })],
    );
    if (scenario.way === 'update')
      expect(answer).toEqual({ accepted: 'the rotation stops, and what it did is undone' });
    if (scenario.step.startsWith('settle')) {
      // Stopped anywhere in cleaning up: what is in use is untouched, and of a stale key that is still there the secondary still tells.
      expect(settled(after)).toEqual(settled(before));
      expect(before.keys).toEqual(expect.arrayContaining(after.keys));
      expect([before.labels.pending, undefined]).toContain(after.labels.pending);
      if (after.keys.length > settled(before).keys.length) expect(after.secondary).toBeDefined();
    } else {
      expect(after).toEqual(before);
    }
    expect(opens).toBe(true);
  });
});

const aborts = (status: RotationStatus) => status.requests.filter(({ request }) => request === 'abort');

/** A rotation that stands still before it creates its candidate. */
async function standing(secret: string): Promise<{ handle: WorkflowHandle; before: Situation; goOn(): Promise<void> }> {
  const subject = await createSubject(bed, 'app-secret', secret);
  const before = await subject.situation();
  const point = { secretId: bed.secrets.idOf(secret), step: 'createCandidate', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const handle = await bed.start(secret);
  await bed.pauses.reached(point);
  return { handle, before, goOn: () => bed.pauses.goOn(point) };
}

test('an abort that is asked for again and again undoes once, and each request has its audit record', async () => {
  const { handle, before, goOn } = await standing('many-aborts');
  await handle.signal('abort', { reason: 'first', requestedBy: 'anna' });
  await handle.signal('abort', { reason: 'second', requestedBy: 'ben' });
  await expect(handle.executeUpdate('abort', { args: [{ reason: 'third', requestedBy: 'cleo' }] })).resolves.toEqual({
    accepted: 'the rotation stops, and what it did is undone',
  });
  await goOn();
  expect(await handle.result()).toMatchObject({ outcome: 'aborted', requestedBy: 'cleo', reason: 'third' });
  expect(aborts(await statusOf(handle)).map(({ reason }) => reason)).toEqual(['first', 'second', 'third']);
  expect(await situationOf(bed, 'many-aborts')).toEqual(before);
  const records = (await auditOf(bed.secrets.idOf('many-aborts'))).filter(({ what }) => what === 'abort');
  expect(records.map(({ who, reason, outcome }) => ({ who, reason, outcome }))).toEqual(
    expect.arrayContaining([
      { who: 'anna', reason: 'first', outcome: 'accepted' },
      { who: 'ben', reason: 'second', outcome: 'accepted' },
      { who: 'cleo', reason: 'third', outcome: 'accepted' },
    ]),
  );
  expect(records).toHaveLength(3);
});

test.each<[string, unknown[]]>([
  ['nothing', []],
  ['null', [null]],
  ['a number', [42]],
  ['a text', ['please']],
  ['a list', [[]]],
  ['fields that it does not have', [{ percent: 50 }]],
])('an abort whose argument is %s is an abort without a reason', async (name, args) => {
  for (const way of ['signal', 'update'] as const) {
    const { handle, before, goOn } = await standing(`odd-abort/${name.replaceAll(' ', '-')}-${way}`);
    if (way === 'signal') await handle.signal('abort', ...args);
    else await handle.executeUpdate('abort', { args: args as [unknown] });
    await goOn();
    expect(await handle.result()).toMatchObject({ outcome: 'aborted', versions: { current: before.labels.current } });
  }
});

test.each([
  ['reason', 7],
  ['reason', null],
  ['reason', 'x'.repeat(100_000)],
  ['requestedBy', { name: 'anna' }],
  ['requestedBy', ['anna']],
])('an abort whose %s is not a short text is refused, and the rotation goes on', async (field, value) => {
  const { handle, goOn } = await standing(`refused-abort/${field}-${String(value).length}-${typeof value}`);
  const why = `the field ${field} is not a text of at most 1000 characters`;
  await handle.signal('abort', { [field]: value });
  const update = handle.executeUpdate('abort', { args: [{ [field]: value }] });
  await expect(update).rejects.toMatchObject({ cause: { type: 'BadRequest', message: why } });
  await goOn();
  expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
  // An update that its validator refuses leaves no trace in history; a signal is there already.
  expect(aborts(await statusOf(handle))).toEqual([expect.objectContaining({ request: 'abort', refused: why })]);
});

test('an abort that comes before the plan is known leaves the secret untouched', async () => {
  const { secret, ...subject } = await createSubject(bed, 'single-user', 'early-abort');
  const before = await subject.situation();
  const handle = await bed.client.workflow.signalWithStart('rotateDatabaseCredential', {
    taskQueue: bed.taskQueue,
    workflowId: `rotation/${bed.secrets.idOf(secret)}`,
    args: [{ environment: bed.environment, secret }],
    signal: 'abort',
    signalArgs: [{ reason: 'changed my mind' }],
  });
  expect(await handle.result()).toMatchObject({ outcome: 'aborted', reason: 'changed my mind', steps: [] });
  expect(await subject.situation()).toEqual(before);
});

test('a rotation that is cancelled before the plan is known ends as aborted', async () => {
  const { secret, ...subject } = await createSubject(bed, 'single-user', 'early-cancel');
  const before = await subject.situation();
  const point = { secretId: bed.secrets.idOf(secret), step: 'loadPlan', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const handle = await bed.start(secret);
  await bed.pauses.reached(point);
  await handle.cancel();
  await arrived(handle, 'cancel');
  await bed.pauses.goOn(point);
  expect(await handle.result()).toMatchObject({ outcome: 'aborted' });
  expect(await subject.situation()).toEqual(before);
});

/** The same without what a terminated rotation had left: when an abort comes too late for that step, it is gone. */
function settled({ labels, versions, keys, secondary: _removed, ...rest }: Situation): Situation {
  const { [labels.pending ?? '']: _discarded, ...others } = versions;
  const inUse = others[labels.current ?? ''] ?? '';
  return {
    ...rest,
    labels: { ...labels, pending: undefined },
    versions: others,
    keys: keys.filter(({ id }) => inUse.includes(id)),
  };
}
