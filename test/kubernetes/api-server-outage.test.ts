import { setTimeout as delay } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { BUILD_MS, describeInCluster } from '../testbed/cluster';
import { openClusterBed } from '../testbed/kubernetes-rotations';
import type { ClusterBed, Use } from '../testbed/kubernetes-rotations';
import { createSubject } from '../testbed/subjects';
import type { Subject } from '../testbed/subjects';
import { failureOf } from '../testbed/testbed';
import { until } from '../testbed/until';
import { inPhase, statusOf } from '../testbed/watching';

const OUTAGE_MS = 60_000;
const SLOW_PODS = { annotations: { 'keyturn.test/ready-after': '6s' } };
/** More than the outage takes, and what a busy machine needs beside it. */
const PATIENT = { syncTimeout: '3 minutes', timeout: '3 minutes' };
/** Their time is over before the outage is. */
const IMPATIENT = { declaration: { stepTimeout: '1 second' }, dependent: { syncTimeout: '1 second' } };

/** What is under way when the API server stops. */
const CASES: Record<string, { declaration?: object; dependent?: object; use?: Use }> = {
  syncing: { dependent: PATIENT },
  'rolling-out': { dependent: PATIENT, use: SLOW_PODS },
  'syncing-impatiently': IMPATIENT,
};

interface Case extends Subject {
  before: { labels: object; value?: string };
  handle: WorkflowHandle;
}

describeInCluster('rotations under way when the API server is stopped for a minute', () => {
  let stage: ClusterBed;
  const cases = new Map<string, Case>();
  beforeAll(async () => {
    stage = await openClusterBed({ stepTimeout: '60 seconds', rollbackTimeout: '5 minutes' });
    await stage.bed.startWorker();
    await Promise.all(Object.entries(CASES).map(([name, options]) => bringToDelivery(name, options)));

    await stage.bed.pauses.goOn(atSync('rolling-out'));
    await until('it is restarted', async () => (await stage.restarts('rolling-out')) === 1);
    const stopping = stage.operator.stop();
    await Promise.all([
      stopping,
      ...['syncing', 'syncing-impatiently'].map(async (name) => {
        await stopping;
        await stage.bed.pauses.goOn(atSync(name));
        await until(`${name} is asked for`, () => isAsked(name));
      }),
    ]);
    const stoppedAt = Date.now();
    await stage.cluster.stopApiServer();
    await inPhase(caseOf('syncing-impatiently').handle, 'rolling-back');
    await delay(Math.max(0, stoppedAt + OUTAGE_MS - Date.now()));
    expect(await statusOf(caseOf('syncing').handle)).toMatchObject({ step: 'deliver', phase: 'rotating' });
    await stage.cluster.startApiServer();
    await stage.operator.start();
  }, BUILD_MS);
  afterAll(() => stage?.close());

  const atSync = (secret: string) =>
    ({
      secretId: stage.bed.secrets.idOf(secret),
      step: 'deliver',
      activity: 'syncToKubernetes',
      when: 'before',
    }) as const;

  async function bringToDelivery(
    secret: string,
    { declaration, dependent, use }: (typeof CASES)[string],
  ): Promise<void> {
    const subject = await createSubject(stage.bed, 'single-user', secret, {
      dependents: [stage.dependentOn(secret, dependent)],
      ...declaration,
    });
    await stage.deploy(secret, use);
    const before = { labels: await stage.bed.secrets.labels(secret), value: await stage.held(secret) };
    await stage.bed.pauses.stopAt(atSync(secret));
    const handle = await stage.bed.start(secret);
    await stage.bed.pauses.reached(atSync(secret));
    cases.set(secret, { ...subject, before, handle });
  }

  async function isAsked(secret: string): Promise<boolean> {
    const path = stage.path('externalsecrets', secret);
    const found = await stage.cluster.request<{ metadata: { annotations?: Record<string, string> } }>('GET', path);
    return found?.metadata.annotations?.['force-sync'] !== undefined;
  }

  function caseOf(name: string): Case {
    const found = cases.get(name);
    if (!found) throw new Error(`${name} was not prepared`);
    return found;
  }

  test.each(['syncing', 'rolling-out'])('%s: rotated when it is back, with one restart', async (name) => {
    const { secret, handle, opens, before } = caseOf(name);
    expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await stage.current(secret)).not.toBe(before.value);
    expect(await stage.held(secret)).toBe(await stage.current(secret));
    expect(await opens()).toBe(true);
    expect(await stage.restarts(secret)).toBe(1);
  });

  test('with too little time: rolled back when it is back, and the failure names the API server', async () => {
    const { secret, handle, opens, before } = caseOf('syncing-impatiently');
    const { type, message } = await failureOf(handle.result());
    expect(type).toBe('RotationRolledBack');
    expect(message).toMatch(
      /The API server of the cluster of context lab (did not answer|was out of reach) .*ECONNREFUSED/,
    );
    expect(await stage.bed.secrets.labels(secret)).toEqual(before.labels);
    expect(await stage.current(secret)).toBe(before.value);
    expect(await stage.held(secret)).toBe(before.value);
    expect(await opens()).toBe(true);
  });
});
