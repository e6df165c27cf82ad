import type { WorkflowHandle } from '@temporalio/client';
import { rotationWorkflowId } from '../../src/rotation/names';
import { startDevServer } from '../lab/temporal';
import { createApiKey } from '../testbed/api-keys';
import { startFakeKeyService } from '../testbed/fake-key-service';
import { fleetOf } from '../testbed/fleets';
import type { Run } from '../testbed/scan';
import { openTestbed } from '../testbed/testbed';
import type { Testbed } from '../testbed/testbed';
import { until } from '../testbed/until';
import { inPhase } from '../testbed/watching';

/** A run whose history was fetched while its server was there. */
export type RecordedRun = Run & { history?: Awaited<ReturnType<WorkflowHandle['fetchHistory']>> };

/** Fleets, each in an environment of its own. */
export function fleetRecordings(): Record<string, () => Promise<RecordedRun>> {
  return {
    'fleet-with-a-report': () =>
      inOwnBed(async (bed) => {
        await withKey(bed);
        await bed.secrets.create('no-database', 'not JSON at all');
        await bed.declare({ 'no-database': { type: 'database', strategy: 'single-user' } });
        await bed.databases.singleUser('app');
        const handle = await fleetOf(bed).start({ reason: 'yearly' });
        await handle.result();
        return fetched(bed, handle.workflowId, handle.firstExecutionRunId);
      }),
    'fleet-past-refusals-of-single-secrets': () =>
      inOwnBed(async (bed) => {
        const missing = ['a', 'b', 'c', 'd', 'e'].map((name) => [name, { type: 'database', strategy: 'single-user' }]);
        await bed.declare(Object.fromEntries(missing) as Parameters<Testbed['declare']>[0]);
        const handle = await fleetOf(bed).start({ concurrency: 1 });
        await handle.result();
        return fetched(bed, handle.workflowId, handle.firstExecutionRunId);
      }),
    'api-key-of-a-fleet': () =>
      inOwnBed(async (bed) => {
        await withKey(bed);
        await fleetOf(bed).rotate();
        const rotation = bed.client.workflow.getHandle(rotationWorkflowId(bed.environment, 'key'));
        await rotation.signal('abort', {});
        await rotation.result();
        return fetched(bed, rotation.workflowId, (await rotation.describe()).runId);
      }),
    'fleet-that-people-are-told-of': () => inOwnBed(async (bed) => (await toldOf(bed)).fleet),
    'people-told-of-a-fleet': () => inOwnBed(async (bed) => (await toldOf(bed)).notification),
    'fleet-in-an-emergency': () =>
      inOwnBed(async (bed) => {
        await withKey(bed);
        const rotation = await bed.start('key');
        await inPhase(rotation, 'grace-period');
        const handle = await fleetOf(bed).start({ emergency: true, reason: 'INC-3' });
        await handle.result();
        return fetched(bed, handle.workflowId, handle.firstExecutionRunId);
      }),
    'fleet-in-an-emergency-beside-another': () => inOwnBed(async (bed) => (await besideAnother(bed)).emergency),
    'fleet-stopped-by-an-emergency': () => inOwnBed(async (bed) => (await besideAnother(bed)).ordinary),
    'fleet-refused-in-an-emergency': () => inOwnBed(async (bed) => (await besideAnother(bed)).refused),
    'fleet-in-an-emergency-through-the-front-door': () =>
      inOwnBed(async (bed) => {
        const { workflowId, start } = fleetOf(bed);
        const handle = await start({ emergency: true }, workflowId);
        await handle.result();
        return fetched(bed, handle.workflowId, handle.firstExecutionRunId);
      }),
    'fleet-aborted': () => inOwnBed(aborted),
    'fleet-through-the-front-door': () =>
      inOwnBed(async (bed) => {
        const handle = await fleetOf(bed).start({}, `weekly-${bed.environment}`);
        await handle.result();
        return fetched(bed, handle.workflowId, handle.firstExecutionRunId);
      }),
    'fleet-continued-as-new': async () => {
      const server = await startDevServer(() => undefined, ['limit.historyCount.suggestContinueAsNew=40']);
      const shared = process.env['TEMPORAL_ADDRESS'];
      process.env['TEMPORAL_ADDRESS'] = server.address;
      try {
        return await inOwnBed(continued);
      } finally {
        process.env['TEMPORAL_ADDRESS'] = shared;
        await server.stop();
      }
    },
  };
}

async function inOwnBed(record: (bed: Testbed) => Promise<RecordedRun>): Promise<RecordedRun> {
  const bed = await openTestbed();
  try {
    await bed.startWorker();
    return await record(bed);
  } finally {
    await bed.close();
  }
}

async function fetched(bed: Testbed, workflowId: string, runId: string): Promise<RecordedRun> {
  return { workflowId, runId, history: await bed.client.workflow.getHandle(workflowId, runId).fetchHistory() };
}

/** A fleet with a failure in it, and the run that tells people. */
async function toldOf(bed: Testbed): Promise<{ fleet: RecordedRun; notification: RecordedRun }> {
  await bed.secrets.create('no-database', 'not JSON at all');
  await bed.declare({ 'no-database': { type: 'database', strategy: 'single-user' } });
  await bed.declareNotifications({ channels: { log: { type: 'log' } }, routes: [{ channels: ['log'] }] });
  const handle = await fleetOf(bed).start({ reason: 'yearly' });
  await handle.result();
  const { workflowId, firstExecutionRunId: runId } = handle;
  const telling = bed.client.workflow.getHandle(`notification/${bed.environment}/fleet-report/${runId}`);
  await telling.result();
  return {
    fleet: await fetched(bed, workflowId, runId),
    notification: await fetched(bed, telling.workflowId, (await telling.describe()).runId),
  };
}

async function withKey(bed: Testbed): Promise<void> {
  const service = await startFakeKeyService();
  bed.alsoSecret(() => service.everyValue());
  bed.alsoStop(service);
  await createApiKey(bed, service, 'key', { gracePeriod: '1 hour' });
}

/** An emergency that stops an ordinary fleet, and what becomes of the next ordinary one. */
async function besideAnother(bed: Testbed): Promise<Record<'ordinary' | 'emergency' | 'refused', RecordedRun>> {
  const point = { secretId: bed.secrets.idOf('unused'), step: 'promote', when: 'before' } as const;
  const again = { ...point, step: 'createCandidate' };
  await bed.declare({ waiting: { type: 'app-secret' } });
  // In this order, also when both are made in the same second.
  for (const secret of ['unused', 'waiting']) await bed.secrets.create(secret, `first-value-of-${secret}`);
  await bed.pauses.stopAt(point);
  const ordinary = await fleetOf(bed).start({ concurrency: 1 });
  await bed.pauses.reached(point);
  const emergency = fleetOf(bed, { emergency: true });
  const handle = await emergency.start({ reason: 'INC-4' });
  await until('one is in the way', async () => (await emergency.status()).inTheWay === 1);
  await bed.pauses.stopAt(again);
  await bed.pauses.goOn(point);
  await ordinary.result();
  await bed.pauses.reached(again);
  const refused = await fleetOf(bed).start();
  await refused.result().catch(() => undefined);
  await bed.pauses.goOn(again);
  await handle.result();
  return {
    ordinary: await fetched(bed, ordinary.workflowId, ordinary.firstExecutionRunId),
    emergency: await fetched(bed, handle.workflowId, handle.firstExecutionRunId),
    refused: await fetched(bed, refused.workflowId, refused.firstExecutionRunId),
  };
}

async function aborted(bed: Testbed): Promise<RecordedRun> {
  await bed.declare({ another: { type: 'app-secret' }, third: { type: 'app-secret' } });
  const points = ['another', 'third', 'unused'].map(
    (secret) => ({ secretId: bed.secrets.idOf(secret), step: 'createCandidate', when: 'before' }) as const,
  );
  await Promise.all(points.map(bed.pauses.stopAt));
  const handle = await fleetOf(bed).start({ concurrency: 1 });
  await until('one runs', async () => (await fleetOf(bed).status()).running.length === 1);
  await handle.executeUpdate('abort', { args: [{ reason: 'enough', requestedBy: 'night shift' }] });
  await handle.signal('abort', {});
  await Promise.all(points.map(bed.pauses.goOn));
  await handle.result();
  return fetched(bed, handle.workflowId, handle.firstExecutionRunId);
}

/** The run that takes up a rotation which another run has started. */
async function continued(bed: Testbed): Promise<RecordedRun> {
  const names = Array.from({ length: 20 }, (_, n) => `secret-${n + 10}`);
  await bed.declare(Object.fromEntries(names.map((name) => [name, { type: 'app-secret' as const }])));
  const point = { secretId: bed.secrets.idOf('secret-10'), step: 'recordOutcome', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const fleet = fleetOf(bed);
  const handle = await fleet.start({ concurrency: 4 });
  await until('only one is left', async () => {
    const status = await fleet.status().catch(() => undefined);
    return status?.waiting === 0 && status.running.length === 1;
  });
  const { runId } = await fleet.handle().describe();
  await bed.pauses.goOn(point);
  await handle.result();
  return fetched(bed, handle.workflowId, runId);
}
