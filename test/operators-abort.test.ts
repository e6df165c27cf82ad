import type { WorkflowHandle } from '@temporalio/client';
import { inLanes } from '../src/client/in-lanes';
import type { RequestAccepted, RotationResult, RotationStatus } from '../src/rotation/types';
import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import type { Situation } from './testbed/situation';
import { abortableSteps, createSubject, KINDS } from './testbed/subjects';
import type { Kind, Subject } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

/** An abort at one step: the rotation stands still before the step's activity until the request has reached it. */
interface Scenario {
  kind: Kind;
  step: string;
  way: 'update' | 'signal' | 'cancel';
}

interface Ended {
  result: RotationResult;
  status: RotationStatus;
  answer?: RequestAccepted;
  before: Situation;
  after: Situation;
  opens: boolean;
}

const SCENARIOS: Scenario[] = KINDS.flatMap((kind) =>
  abortableSteps(kind).flatMap((step) =>
    (['update', 'signal', 'cancel'] as const).map((way): Scenario => ({ kind, step, way })),
  ),
);
const LANES = 24;
const ARRIVED = {
  update: 'workflowExecutionUpdateAcceptedEventAttributes',
  signal: 'workflowExecutionSignaledEventAttributes',
  cancel: 'workflowExecutionCancelRequestedEventAttributes',
} as const;
const REQUEST = { reason: 'wrong secret', requestedBy: 'night shift' };

let bed: Testbed;
let dependent: TestDependent;
const ended = new Map<Scenario, Ended>();
const failed = new Map<Scenario, unknown>();

beforeAll(async () => {
  bed = await openTestbed();
  dependent = await startDependent('shop');
  await bed.startWorker();
  await inLanes(SCENARIOS, LANES, async (scenario) => {
    try {
      ended.set(scenario, await abortAt(scenario));
    } catch (error) {
      failed.set(scenario, error);
    }
  });
});
afterAll(async () => {
  await dependent.stop();
  await bed.close();
});

async function abortAt({ kind, step, way }: Scenario): Promise<Ended> {
  const subject = await agedSubject(kind, `${step}-${way}`.toLowerCase());
  if (step.startsWith('settle')) await leaveStaleCandidate(subject);
  const before = await subject.situation();
  const point = { secretId: bed.secrets.idOf(subject.secret), step, when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const handle = await bed.start(subject.secret, step === 'waitForSessionsToEnd' ? { gracePeriod: '0 s' } : {});
  // A wait of the workflow itself has no activity that could stand still.
  if (kind === 'alternating-users' && step === 'gracePeriod') await inPhase(handle, 'grace-period');
  else await bed.pauses.reached(point);
  const answer = await request(handle, way);
  await bed.pauses.goOn(point);
  const result = (await handle.result()) as RotationResult;
  return {
    result,
    status: await handle.query<RotationStatus>('status'),
    answer: await answer.value,
    before,
    after: await subject.situation(),
    opens: await subject.opens(),
  };
}

/** One that was rotated before, so that it has an AWSPREVIOUS and, with alternating users, a second login that is locked. */
async function agedSubject(kind: Kind, name: string): Promise<Subject> {
  const declaration = { dependents: [dependent.declaration] };
  if (kind !== 'alternating-users') {
    const subject = await createSubject(bed, kind, `${kind}/${name}`, declaration);
    await bed.rotate(subject.secret);
    return subject;
  }
  const subject = await createSubject(bed, kind, `${kind}/${name}`, { ...declaration, gracePeriod: '1 hour' });
  // Twice, so that both logins are as Keyturn leaves them.
  for (let turn = 0; turn < 2; turn += 1) await bed.rotate(subject.secret, { gracePeriod: '0 s' });
  return subject;
}

async function leaveStaleCandidate({ secret }: Subject): Promise<void> {
  const text = await bed.secrets.value(secret);
  await bed.secrets.putPending(
    secret,
    text.startsWith('{')
      ? JSON.stringify({ ...JSON.parse(text), password: 'stale-candidate-password' })
      : 'stale-candidate-value',
  );
}

async function inPhase(handle: WorkflowHandle, phase: RotationStatus['phase']): Promise<void> {
  await until(`${handle.workflowId} in ${phase}`, async () => (await statusOf(handle)).phase === phase);
}

const statusOf = (handle: WorkflowHandle) => handle.query<RotationStatus>('status');

/** Resolves once the request is in the rotation's history. */
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
  await until(
    `${way} in the history of ${handle.workflowId}`,
    async () => (await handle.fetchHistory()).events?.some((event) => event[ARRIVED[way]]),
    { everyMs: 250 },
  );
  return { value };
}

describe.each(SCENARIOS)('a rotation of a(n) $kind secret that is aborted by $way at $step', (scenario) => {
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
    expect(after).toEqual({
      ...before,
      labels: { current: before.labels.current, previous: before.labels.previous },
      versions: withoutStale(before),
    });
    expect(opens).toBe(true);
  });
});

/** A candidate that an earlier rotation left is discarded, and not put back. */
function withoutStale({ labels, versions }: Situation): Situation['versions'] {
  return Object.fromEntries(Object.entries(versions).filter(([id]) => id !== labels.pending));
}
