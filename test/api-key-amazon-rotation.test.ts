import { randomUUID } from 'node:crypto';
import { CreateQueueCommand, DeleteQueueCommand, SQSClient } from '@aws-sdk/client-sqs';
import { WorkflowNotFoundError } from '@temporalio/client';
import { EVENT_WORKFLOW, eventWorkflowId } from '../src/rotation/events';
import type { KeyturnEvent } from '../src/rotation/events';
import { rotationWorkflowId } from '../src/rotation/names';
import type { RequestAccepted, RotationStatus } from '../src/rotation/types';
import { keyDocument } from './testbed/api-keys';
import { startFakeSellingPartnerApi } from './testbed/fake-selling-partner-api';
import type { FakeSellingPartnerApi } from './testbed/fake-selling-partner-api';
import { fleetOf } from './testbed/fleets';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

/** Amazon ends the old secret by itself, and cannot take back a new one. */
const SECRET = 'api/selling-partner';
const CLIENT_ID = 'amzn1.application-oa2-client.6f1c9e';
const FIRST = `amzn1.oa2-cs.v1.${randomUUID()}`;

let bed: Testbed;
let sqs: SQSClient;
let queueUrl: string;
let amazon: FakeSellingPartnerApi;
beforeAll(async () => {
  bed = await openTestbed();
  sqs = new SQSClient({});
  const created = await sqs.send(new CreateQueueCommand({ QueueName: `keyturn-${randomUUID()}` }));
  queueUrl = created.QueueUrl ?? '';
  amazon = await startFakeSellingPartnerApi({ sqs, queueUrl, clientId: CLIENT_ID, clientSecret: FIRST });
  amazon.behaviour.betweenSecretsMs = 0;
  bed.alsoSecret(() => amazon.everyValue());
  await bed.secrets.create(SECRET, JSON.stringify({ clientId: CLIENT_ID, clientSecret: FIRST }));
  const { endpoint, tokenUrl } = amazon;
  await bed.declare({
    [SECRET]: {
      type: 'api-key',
      provider: { name: 'amazon-sp-api', clientId: CLIENT_ID, queueUrl, endpoint, tokenUrl },
      gracePeriod: '1 hour',
    },
  });
  await bed.startWorker();
});
afterAll(async () => {
  await bed.close();
  await amazon.stop();
  await sqs.send(new DeleteQueueCommand({ QueueUrl: queueUrl }));
  sqs.destroy();
});

/** Whether a run had people told that it was refused, as critical. */
async function isToldOfRefusal(runId: string): Promise<boolean> {
  const told = bed.client.workflow.getHandle(`notification/${bed.secrets.idOf(SECRET)}/refused/${runId}`);
  try {
    await told.describe();
    const { events } = await told.fetchHistory();
    const [input] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    expect(JSON.parse(Buffer.from(input?.data ?? []).toString())).toMatchObject({
      severity: 'critical',
      message: expect.stringContaining('only the provider can do that sooner') as string,
      next: `keyturn rotate ${bed.secrets.idOf(SECRET)} --emergency`,
    });
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

test('once Amazon has made a secret the rotation only goes forward, and waits until the old one has expired', async () => {
  // A margin of an hour before the old secret's end is kept, so that applications are not late.
  amazon.behaviour.oldSecretLifeMs = 3_600_000 + 20_000;
  const handle = await bed.start(SECRET, { gracePeriod: '1 hour' });
  const status = () => handle.query<RotationStatus>('status');
  const inGrace = await until('it is in its grace period', async () => {
    const now = await status();
    return now.phase === 'grace-period' && now;
  });
  expect(inGrace).toMatchObject({ pastPointOfNoReturn: true, graceEndsAt: inGrace.graceEndsLatest });
  expect(amazon.seen.secretsMade).toBe(1);

  const offered = await keyDocument(bed, `${SECRET}-secondary`);
  expect(offered).toMatchObject({ clientId: CLIENT_ID, clientSecretExpiresAt: inGrace.keys?.new });
  expect(amazon.accepts(String(offered?.['clientSecret']))).toBe(true);
  expect(amazon.accepts(FIRST)).toBe(true);
  const ask = (name: string, request: object) =>
    handle.executeUpdate<RequestAccepted, [object]>(name, { args: [request] });
  expect(await failureOf(ask('abort', {}))).toMatchObject({ type: 'PastPointOfNoReturn' });
  expect(await failureOf(ask('extendGracePeriod', { by: '1 day' }))).toMatchObject({
    type: 'BadRequest',
    message: expect.stringContaining(`until ${inGrace.graceEndsLatest} at most`) as string,
  });

  await ask('endGracePeriod', {});
  await until('it is promoted', async () => (await keyDocument(bed, SECRET))?.['clientSecret'] !== FIRST);
  expect(await keyDocument(bed, SECRET)).toEqual({
    clientId: CLIENT_ID,
    clientSecret: offered?.['clientSecret'],
    clientSecretExpiresAt: inGrace.keys?.new,
  });
  await until('it waits for the expiry', async () => (await status()).step === 'waitForExpiry');
  await handle.terminate('Amazon keeps the old one for an hour more');
});

test('what a terminated rotation left is put away, and the next one ends when Amazon refuses the old secret', async () => {
  amazon.behaviour.oldSecretLifeMs = 5_000;
  const before = (await keyDocument(bed, SECRET))?.['clientSecret'];
  expect(await bed.rotate(SECRET)).toMatchObject({ outcome: 'rotated', type: 'api-key' });
  const now = (await keyDocument(bed, SECRET))?.['clientSecret'];
  expect(now).not.toBe(before);
  expect(amazon.accepts(String(before))).toBe(false);
  expect(amazon.accepts(String(now))).toBe(true);
  expect(await keyDocument(bed, `${SECRET}-secondary`)).toBeUndefined();
  expect(amazon.seen.secretsMade).toBe(2);
}, 60_000);

test('a fleet in an emergency does not wait the days for which Amazon still takes the old secret', async () => {
  amazon.behaviour.oldSecretLifeMs = 7 * 86_400_000;
  const fleet = fleetOf(bed);
  const report = await fleet.rotate({ types: ['api-keys'], emergency: true });
  expect(report).toMatchObject({ total: 1, succeeded: 1 });
  expect(report.secrets).toMatchObject([{ secret: SECRET, outcome: 'in-grace-period' }]);
  expect(Date.parse(report.secrets[0]?.graceEndsAt ?? '') - Date.now()).toBeGreaterThan(6 * 86_400_000);
  const rotation = bed.client.workflow.getHandle(rotationWorkflowId(bed.environment, SECRET));
  expect(await rotation.query<RotationStatus>('status')).toMatchObject({ phase: 'retiring', step: 'waitForExpiry' });

  // Nor does the next emergency, which says what is in its way.
  const again = await fleet.rotate({ types: ['api-keys'], emergency: true });
  expect(again).toMatchObject({ total: 1, succeeded: 0, failed: 1 });
  expect(again.secrets).toMatchObject([
    {
      secret: SECRET,
      outcome: 'in-the-way',
      cause: {
        type: 'InTheWay',
        message: expect.stringMatching(/^rotateApiKey runs since .* only the provider can do that sooner/) as string,
      },
    },
  ]);
  const { environment, client, taskQueue } = bed;
  const refused = { type: 'RotationRefused', details: { cause: { type: 'InTheWay' } } };
  const one = await client.workflow.start('rotate', {
    taskQueue,
    workflowId: `one-${environment}`,
    args: [{ environment, secret: SECRET, emergency: true }],
  });
  expect(await failureOf(one.result())).toMatchObject(refused);
  expect(await isToldOfRefusal(one.firstExecutionRunId)).toBe(true);

  // One that was reported goes by the same front door, and people are told once.
  const leak: KeyturnEvent = { kind: 'leak', environment, secret: SECRET, reason: 'seen in a build log', rotate: true };
  const workflowId = eventWorkflowId(leak, 'INC-1');
  const reported = await client.workflow.start(EVENT_WORKFLOW, { taskQueue, workflowId, args: [leak] });
  expect(await failureOf(reported.result())).toMatchObject(refused);
  const { runId } = await client.workflow.getHandle(`${workflowId}/rotate-1`).describe();
  expect(await isToldOfRefusal(runId)).toBe(true);
  expect(await isToldOfRefusal(reported.firstExecutionRunId)).toBe(false);
  await rotation.terminate('Amazon keeps the old one for days more');
}, 90_000);
