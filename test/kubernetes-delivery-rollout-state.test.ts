import type { WorkloadObject } from '../src/activities/delivery/kubernetes/rollout-state';
import { restartHindrance, rolloutState } from '../src/activities/delivery/kubernetes/rollout-state';

type Status = WorkloadObject['status'];

const workload = (status: Status, spec: Partial<WorkloadObject['spec']> = {}): WorkloadObject => ({
  metadata: { name: 'web', generation: 4 },
  spec: { replicas: 3, ...spec },
  status,
});

describe('a Deployment', () => {
  const done: Status = { observedGeneration: 4, replicas: 3, updatedReplicas: 3, availableReplicas: 3 };

  test('is done when every pod is of the newest template and available', () => {
    expect(rolloutState('Deployment', workload(done))).toEqual({ is: 'done' });
  });

  test('is done without pods when it has none to run', () => {
    expect(rolloutState('Deployment', workload({ observedGeneration: 4 }, { replicas: 0 }))).toEqual({ is: 'done' });
  });

  test.each<[string, Status]>([
    ['its controller has not seen the newest template', { ...done, observedGeneration: 3 }],
    ['a pod is of an older template', { ...done, updatedReplicas: 2 }],
    ['an old pod is still there', { ...done, replicas: 4 }],
    ['an updated pod is not available', { ...done, availableReplicas: 2 }],
    ['a pod is counted as unavailable', { ...done, unavailableReplicas: 1 }],
    ['it has no status yet', undefined],
  ])('is waited for while %s', (_why, status) => {
    expect(rolloutState('Deployment', workload(status))).toMatchObject({ is: 'waiting' });
  });

  const exceeded = {
    type: 'Progressing',
    status: 'False',
    reason: 'ProgressDeadlineExceeded',
    message: 'ReplicaSet "web-1" has timed out progressing.',
    lastUpdateTime: '2030-01-01T10:00:30Z',
  };
  const stalled: Status = { ...done, updatedReplicas: 1, conditions: [exceeded] };

  test('that exceeded its progress deadline says so, with its counts', () => {
    expect(rolloutState('Deployment', workload(stalled))).toEqual({
      is: 'stuck',
      why: expect.stringMatching(/^ProgressDeadlineExceeded: ReplicaSet "web-1".*of 3 pods 1 are updated/),
    });
  });

  test.each<[string, Status, string]>([
    ['says why while it is waited for', { ...done, updatedReplicas: 1 }, 'waiting'],
    ['says why when it exceeded its progress deadline', stalled, 'stuck'],
  ])('whose pods are refused %s', (_when, status, is) => {
    const message =
      'pods "web-1-x" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=3, limited: pods=3';
    const refused = { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message };
    const conditions = [...(status?.conditions ?? []), refused];
    const told = rolloutState('Deployment', workload({ ...status, conditions }));
    expect(told).toMatchObject({ is });
    expect(JSON.stringify(told)).toContain(`pods cannot be made: ${JSON.stringify(message).slice(1, -1)}`);
    const over = rolloutState(
      'Deployment',
      workload({ ...status, conditions: [...conditions.slice(0, -1), { ...refused, status: 'False' }] }),
    );
    expect(JSON.stringify(over)).not.toContain('exceeded quota');
  });

  test.each([
    ['of an earlier minute', '2030-01-01T10:05:00Z', 60, 'waiting'],
    ['of the same second', '2030-01-01T10:00:30Z', 60, 'waiting'],
    ['of a controller whose clock is ahead', '2030-01-01T10:00:10Z', 60, 'waiting'],
    ['that came a deadline later', '2030-01-01T09:59:30Z', 60, 'stuck'],
    ['that came a default deadline later', '2030-01-01T09:50:30Z', undefined, 'stuck'],
  ])('with a condition %s', (_case, time, progressDeadlineSeconds, is) => {
    const restarted = workload(stalled);
    restarted.metadata.managedFields = [{ manager: 'keyturn', time, fieldsV1: { 'f:spec': { 'f:template': {} } } }];
    restarted.spec.progressDeadlineSeconds = progressDeadlineSeconds;
    expect(rolloutState('Deployment', restarted)).toMatchObject({ is });
  });

  test('that is paused is not waited for', () => {
    expect(rolloutState('Deployment', workload(done, { paused: true }))).toMatchObject({
      is: 'stuck',
      why: expect.stringContaining('it is paused'),
    });
  });
});

describe('a StatefulSet', () => {
  const done: Status = {
    observedGeneration: 4,
    updatedReplicas: 3,
    availableReplicas: 3,
    currentRevision: 'web-2',
    updateRevision: 'web-2',
  };

  test('is done when the update revision is the current one and all are available', () => {
    expect(rolloutState('StatefulSet', workload(done))).toEqual({ is: 'done' });
  });

  test.each<[string, Status]>([
    ['its pods are of two revisions', { ...done, currentRevision: 'web-1' }],
    ['a pod is not updated', { ...done, updatedReplicas: 2 }],
    ['a pod is not available', { ...done, availableReplicas: 2 }],
    ['its controller has not seen the change', { ...done, observedGeneration: 3 }],
  ])('is waited for while %s', (_why, status) => {
    expect(rolloutState('StatefulSet', workload(status))).toMatchObject({ is: 'waiting' });
  });

  test('with a partition would keep pods with the old secret', () => {
    const spec = { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } };
    expect(restartHindrance('StatefulSet', workload(done, spec))).toContain('partition 2');
    expect(restartHindrance('StatefulSet', workload(done))).toBeUndefined();
  });
});

describe('a DaemonSet', () => {
  const done: Status = {
    observedGeneration: 4,
    desiredNumberScheduled: 5,
    updatedNumberScheduled: 5,
    numberAvailable: 5,
  };

  test('is done when it runs updated and available on every node', () => {
    expect(rolloutState('DaemonSet', workload(done))).toEqual({ is: 'done' });
  });

  test.each<[string, Status]>([
    ['a node has an old pod', { ...done, updatedNumberScheduled: 4 }],
    ['a pod is not available', { ...done, numberAvailable: 4 }],
    ['a pod is unavailable', { ...done, numberUnavailable: 1 }],
    ['its controller has not seen the change', { ...done, observedGeneration: 3 }],
  ])('is waited for while %s', (_why, status) => {
    expect(rolloutState('DaemonSet', workload(status))).toMatchObject({ is: 'waiting' });
  });

  test('that is updated by deleting pods is not restarted by an annotation', () => {
    const spec = { updateStrategy: { type: 'OnDelete' } };
    expect(restartHindrance('DaemonSet', workload(done, spec))).toContain('OnDelete');
  });
});

describe('an Argo Rollout', () => {
  const at = '2030-01-01T10:00:00Z';
  const done: Status = { observedGeneration: '4', phase: 'Healthy', restartedAt: at, availableReplicas: 3 };

  test('is done when its controller has replaced every pod older than restartAt', () => {
    expect(rolloutState('Rollout', workload(done, { restartAt: at }))).toEqual({ is: 'done' });
  });

  test('is done although a canary waits at one of its steps', () => {
    expect(rolloutState('Rollout', workload({ ...done, phase: 'Paused' }, { restartAt: at }))).toEqual({ is: 'done' });
  });

  test.each<[string, Status]>([
    ['pods older than restartAt are left', { ...done, restartedAt: '2030-01-01T09:00:00Z' }],
    ['it was never restarted', { ...done, restartedAt: undefined }],
    ['it progresses', { ...done, phase: 'Progressing' }],
    ['a pod is not available', { ...done, availableReplicas: 2 }],
    ['its controller has not seen the change', { ...done, observedGeneration: '3' }],
  ])('is waited for while %s', (_why, status) => {
    expect(rolloutState('Rollout', workload(status, { restartAt: at }))).toMatchObject({ is: 'waiting' });
  });

  test('that is degraded says why', () => {
    const degraded = { ...done, phase: 'Degraded', message: 'ProgressDeadlineExceeded' };
    expect(rolloutState('Rollout', workload(degraded, { restartAt: at }))).toEqual({
      is: 'stuck',
      why: 'the Rollout is Degraded (ProgressDeadlineExceeded)',
    });
  });

  test('that is degraded is waited for while its controller has not seen the change', () => {
    const degraded = { ...done, phase: 'Degraded', observedGeneration: '3' };
    expect(rolloutState('Rollout', workload(degraded, { restartAt: at }))).toMatchObject({ is: 'waiting' });
  });

  const aborted = (lastUpdateTime: string): Status => ({
    ...done,
    phase: 'Degraded',
    conditions: [
      { type: 'Progressing', status: 'False', reason: 'RolloutAborted', message: 'aborted', lastUpdateTime },
      { type: 'Available', status: 'True', reason: 'AvailableReason', lastUpdateTime: '2030-01-01T11:00:00Z' },
    ],
  });
  const BEFORE = aborted('2030-01-01T09:30:00Z');

  test.each<[string, Status, string]>([
    ['before the restart, by an update that was given up: it is done', BEFORE, 'done'],
    ['before it, and has old pods', { ...BEFORE, restartedAt: '2030-01-01T09:00:00Z' }, 'waiting'],
    ['before it, and a pod is not available', { ...BEFORE, availableReplicas: 2 }, 'waiting'],
    ['since the restart', aborted('2030-01-01T10:00:30Z'), 'stuck'],
    [
      'because its spec is invalid, so that nothing is restarted',
      { ...BEFORE, conditions: [...(BEFORE?.conditions ?? []), { type: 'InvalidSpec', status: 'True' }] },
      'stuck',
    ],
  ])('that is degraded %s', (_since, status, is) => {
    expect(rolloutState('Rollout', workload(status, { restartAt: at }))).toMatchObject({ is });
  });

  test('goes by the time that the API server has noted of the restart', () => {
    const restarted = workload(BEFORE, { restartAt: '2030-01-01T09:00:00Z' });
    expect(rolloutState('Rollout', restarted)).toMatchObject({ is: 'stuck' });
    restarted.metadata.managedFields = [
      { manager: 'keyturn', time: at, fieldsV1: { 'f:spec': { 'f:restartAt': {} } } },
    ];
    expect(rolloutState('Rollout', restarted)).toMatchObject({ is: 'done' });
  });
});
