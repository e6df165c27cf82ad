import { randomUUID } from 'node:crypto';
import {
  CreateClusterCommand,
  CreateServiceCommand,
  ECSClient,
  RegisterTaskDefinitionCommand,
} from '@aws-sdk/client-ecs';
import { DeleteSecretCommand } from '@aws-sdk/client-secrets-manager';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, escapeIdentifier } from 'pg';
import type { CheckAgesInput } from '../../src/rotation/ages';
import { rotationWorkflowId } from '../../src/rotation/names';
import type { NotificationEvent } from '../../src/rotation/notifications';
import type { ReviewInput } from '../../src/rotation/review';
import type { RotationInput, RotationStatus } from '../../src/rotation/types';
import { USAGE_SIGNAL, USAGE_WORKFLOW, usageWorkflowId } from '../../src/rotation/usage';
import type { UsageStatus } from '../../src/rotation/usage';
import type { Lab } from '../lab/lab';
import { startDependent } from '../testbed/dependent';
import { openClusterBed } from '../testbed/kubernetes-rotations';
import type { ClusterBed } from '../testbed/kubernetes-rotations';
import { backUp, startBackup, startRestore } from '../testbed/backups';
import type { Run } from '../testbed/scan';
import { createNativeRotator } from '../testbed/native-rotation';
import { createSubject, KINDS, LEAVES_MOST_AFTER } from '../testbed/subjects';
import type { Kind } from '../testbed/subjects';
import type { Testbed } from '../testbed/testbed';
import { until } from '../testbed/until';
import { createMeteredSecrets } from '../testbed/usage-metrics';
import { startWireTap } from '../testbed/wire-tap';

/** The first step that leaves something to undo. */
const firstToUndo = (kind: Kind) => (kind === 'api-key' ? 'createKey' : 'createCandidate');

type Ended = Pick<Awaited<ReturnType<Testbed['start']>>, 'workflowId' | 'firstExecutionRunId'> & {
  result(): Promise<unknown>;
};

interface Login {
  username: string;
  password: string;
  dbname: string;
}

/** One of each kind of rotation and of each way to end, which a changed workflow must still be able to take up. */
export function recordings({ bed, lab }: { bed: Testbed; lab: Lab }): Record<string, () => Promise<Run>> {
  const rotationOf = (secret: string) => bed.client.workflow.getHandle(rotationWorkflowId(bed.environment, secret));

  /** Starts a rotation and waits for its end, however it ends. */
  async function run(secret: string, input: Partial<RotationInput> = {}, type?: string): Promise<Run> {
    return ended(await bed.start(secret, input, type));
  }

  async function ended(handle: Ended): Promise<Run> {
    await handle.result().catch(() => undefined);
    return { workflowId: handle.workflowId, runId: handle.firstExecutionRunId };
  }

  /** Does something while a rotation stands still. */
  async function interrupted(secret: string, step: string, when: 'before' | 'after', act: () => Promise<unknown>) {
    const point = { secretId: bed.secrets.idOf(secret), step, when };
    await bed.pauses.stopAt(point);
    const handle = await bed.start(secret);
    await bed.pauses.reached(point);
    await act();
    await bed.pauses.goOn(point);
    return ended(handle);
  }

  async function status(secret: string, what: string, holds: (status: RotationStatus) => boolean): Promise<void> {
    await until(what, async () => holds(await rotationOf(secret).query<RotationStatus>('status')));
  }

  const subject = async (kind: Kind, name: string, declaration = {}, fields = {}) =>
    (await createSubject(bed, kind, name, declaration, fields)).secret;

  const each = (name: string, record: (kind: Kind) => Promise<Run>) =>
    Object.fromEntries(KINDS.map((kind) => [`${kind}-${name}`, () => record(kind)]));

  async function undone(kind: Kind): Promise<Run> {
    const dependent = await startDependent('shop', '1 second');
    const secret = await subject(kind, `${kind}/undone`, { dependents: [dependent.declaration] });
    dependent.answer(() => Promise.resolve(dependent.asked > 1 ? 200 : 503));
    return run(secret).finally(() => dependent.stop());
  }

  return {
    ...each('rotated', async (kind) => run(await subject(kind, `${kind}/rotated`))),
    ...each('dry-run', async (kind) => run(await subject(kind, `${kind}/dry-run`), { dryRun: true })),
    ...each('undone', undone),
    ...each('aborted', async (kind) => {
      const secret = await subject(kind, `${kind}/aborted`);
      return interrupted(secret, 'promote', 'after', () =>
        rotationOf(secret).signal('abort', { reason: 'wrong secret', requestedBy: 'night shift' }),
      );
    }),
    ...each('cancelled', async (kind) => {
      const secret = await subject(kind, `${kind}/cancelled`);
      return interrupted(secret, firstToUndo(kind), 'after', () => rotationOf(secret).cancel());
    }),
    ...each('after-a-terminated-one', async (kind) => {
      const secret = await subject(kind, `${kind}/terminated`);
      await interrupted(secret, LEAVES_MOST_AFTER[kind], 'after', () => rotationOf(secret).terminate());
      return run(secret);
    }),
    ...each('rolled-back-afterwards', async (kind) => {
      const secret = await subject(kind, `${kind}/rolled-back`);
      await run(secret);
      return run(secret, {}, 'rollbackSecret');
    }),
    'app-secret-created': async () => {
      await bed.declare({ created: { type: 'app-secret' } });
      return run('created');
    },
    'app-secret-created-and-undone': async () => {
      const dependent = await startDependent('shop', '1 second');
      dependent.answer(503);
      await bed.declare({ uncreated: { type: 'app-secret', dependents: [dependent.declaration] } });
      return run('uncreated').finally(() => dependent.stop());
    },
    'single-user-started-by-aws': async () => {
      const secret = await subject('single-user', 'started-by-aws');
      const versionId = randomUUID();
      await createNativeRotator(bed).expect(secret, versionId);
      return run(secret, { versionId });
    },
    'wrong-type': async () => run(await subject('single-user', 'wrong-type'), {}, 'rotateAppSecret'),
    'single-user-refused': async () => {
      const { username } = await bed.databases.singleUser('refused');
      await bed.databases.asSuperuser(`ALTER ROLE ${escapeIdentifier(username)} NOLOGIN`);
      return run('refused');
    },
    'single-user-rollback-incomplete': async () => {
      const { username } = await bed.databases.singleUser('incomplete');
      return interrupted('incomplete', 'loginWithCandidate', 'before', () =>
        bed.databases.asSuperuser(`ALTER ROLE ${escapeIdentifier(username)} NOLOGIN`),
      );
    },
    'single-user-out-of-reach-for-a-moment': async () => {
      const tap = await startWireTap(bed.databases.port);
      tap.mode = 'hang-up';
      const secret = await subject('single-user', 'moment', {}, { port: tap.port });
      const handle = await bed.start(secret);
      await until('it has tried', async () => tap.connections.length > 1);
      tap.mode = 'pass';
      return ended(handle).finally(() => tap.stop());
    },
    'alternating-users-with-a-grace-period': async () => {
      const secret = await subject('alternating-users', 'grace', { gracePeriod: '1 hour' });
      const handle = await bed.start(secret);
      await handle.signal('endGracePeriod', { requestedBy: 'too early' });
      await status(secret, 'the grace period', ({ phase }) => phase === 'grace-period');
      await handle.signal('extendGracePeriod', { by: '1 day', requestedBy: 'night shift' });
      await handle.executeUpdate('extendGracePeriod', { args: [{ by: '1 hour', requestedBy: 'day shift' }] });
      await handle.executeUpdate('endGracePeriod', { args: [{ reason: 'all have it', requestedBy: 'day shift' }] });
      return ended(handle);
    },
    'alternating-users-aborted-in-its-grace-period': async () => {
      const secret = await subject('alternating-users', 'grace-aborted', { gracePeriod: '1 hour' });
      const handle = await bed.start(secret);
      await status(secret, 'the grace period', ({ phase }) => phase === 'grace-period');
      await handle.executeUpdate('abort', { args: [{ reason: 'wrong secret', requestedBy: 'night shift' }] });
      return ended(handle);
    },
    'alternating-users-emergency': async () => {
      const secret = await subject('alternating-users', 'emergency', { gracePeriod: '1 hour' });
      return run(secret, { emergency: true });
    },
    'single-user-emergency': async () => run(await subject('single-user', 'leaked-alone'), { emergency: true }),
    'alternating-users-emergency-with-an-earlier-session': async () => {
      const secret = await subject('alternating-users', 'leaked-before');
      const session = await openSession(secret);
      await run(secret);
      return run(secret, { emergency: true }).finally(() => session.end().catch(() => undefined));
    },
    'alternating-users-with-a-session-that-stays': async () => {
      const secret = await subject('alternating-users', 'session', { gracePeriod: '0 s', stepTimeout: '5 seconds' });
      const session = await openSession(secret);
      return run(secret).finally(() => session.end());
    },
    'api-key-with-a-grace-period': async () => {
      const secret = await subject('api-key', 'key-grace', {
        gracePeriod: '1 hour',
        phaseIn: [{ after: '1 second', percent: 10 }],
      });
      const handle = await bed.start(secret);
      await status(secret, 'the first share', ({ phaseInPercent }) => phaseInPercent === 10);
      await handle.signal('setPhaseIn', { percent: 101, requestedBy: 'too much' });
      await handle.signal('extendGracePeriod', { by: '1 day', requestId: 'once', requestedBy: 'night shift' });
      await handle.signal('extendGracePeriod', { by: '1 day', requestId: 'once', requestedBy: 'night shift' });
      await handle.executeUpdate('setPhaseIn', { args: [{ percent: 50, requestedBy: 'day shift' }] });
      await handle.executeUpdate('endGracePeriod', { args: [{ reason: 'all have it', requestedBy: 'day shift' }] });
      return ended(handle);
    },
    'api-key-still-used': async () => {
      const { secret, opens } = await createSubject(bed, 'api-key', 'key-used', { quietPeriod: '3 seconds' });
      await opens();
      return run(secret);
    },
    'api-key-still-used-and-revoked': async () => {
      const { secret, opens } = await createSubject(bed, 'api-key', 'key-in-use', {
        quietPeriod: '1 minute',
        maxGracePeriod: '2 minutes',
        gracePeriod: '1 second',
      });
      await opens();
      const handle = await bed.start(secret);
      await status(secret, 'it waits', ({ step, phase }) => step === 'waitForQuiet' && phase === 'grace-period');
      await handle.signal('endGracePeriod', { requestedBy: 'night shift' });
      return ended(handle);
    },
    'api-key-emergency': async () => run(await subject('api-key', 'key-emergency'), { emergency: true }),
    'app-secret-delivered-to-ecs': async () => {
      const ecs = new ECSClient({});
      const service = { cluster: 'keyturn', serviceName: 'api', taskDefinition: 'app', desiredCount: 0 };
      await ecs.send(new CreateClusterCommand({ clusterName: service.cluster }));
      const containerDefinitions = [{ name: 'app', image: 'app', memory: 128 }];
      await ecs.send(new RegisterTaskDefinitionCommand({ family: service.taskDefinition, containerDefinitions }));
      await ecs.send(new CreateServiceCommand(service));
      const dependent = { ecs: { cluster: service.cluster, services: [service.serviceName] } };
      await bed.declare({ deployed: { type: 'app-secret', dependents: [dependent] } });
      return run('deployed').finally(() => ecs.destroy());
    },
    'alternating-users-delivered-to-kubernetes': () =>
      inCluster(async (stage) => ended(await startDeployed(stage, 'delivered'))),
    'alternating-users-whose-workload-never-gets-ready': () =>
      inCluster(async (stage) => {
        const labels = (value: string | null) =>
          stage.cluster.request('PATCH', stage.path('deployments', 'stuck'), {
            spec: { template: { metadata: { labels: { 'keyturn.test/never-ready': value } } } },
          });
        const point = { secretId: stage.bed.secrets.idOf('stuck'), step: 'promote', when: 'after' } as const;
        await stage.bed.pauses.stopAt(point);
        const handle = await startDeployed(stage, 'stuck', { progressDeadlineSeconds: 8 });
        await stage.bed.pauses.reached(point);
        await labels('x');
        await stage.bed.pauses.goOn(point);
        await until('the rollback', async () => (await handle.query<RotationStatus>('status')).phase === 'rolling-back');
        await labels(null);
        return ended(handle);
      }),
    'front-door': async () => {
      await bed.declare({ front: { type: 'app-secret' } });
      return throughTheFrontDoor('front');
    },
    'front-door-while-one-runs': async () => {
      let second: Run | undefined;
      const secret = await subject('app-secret', 'busy');
      await interrupted(secret, 'promote', 'before', async () => {
        second = await throughTheFrontDoor(secret);
      });
      return second as Run;
    },
    'app-secret-backed-up-before': async () => run(await subject('app-secret', 'backed-up/before')),
    'environment-backed-up': async () => {
      await subject('app-secret', 'backed-up/app-secret');
      return ended(await startBackup(bed));
    },
    'environment-restored': async () => {
      const dependent = await startDependent('shop', '1 second');
      const secret = await subject('app-secret', 'restored/dependents', { dependents: [dependent.declaration] });
      return (await restored(secret, () => bed.rotate(secret)).finally(() => dependent.stop())).parent;
    },
    'environment-delivered-again': async () => {
      const dependent = await startDependent('shop', '1 second');
      const secret = await subject('app-secret', 'restored/again', { dependents: [dependent.declaration] });
      return (await restored(secret, () => Promise.resolve()).finally(() => dependent.stop())).parent;
    },
    'app-secret-delivered': async () => {
      const dependent = await startDependent('shop', '1 second');
      const secret = await subject('app-secret', 'restored/delivered', { dependents: [dependent.declaration] });
      return (await restored(secret, () => bed.rotate(secret)).finally(() => dependent.stop())).child;
    },
    'app-secret-restored': async () => {
      const secret = await subject('app-secret', 'restored/app-secret');
      return (await restored(secret, () => scheduleDeletion(secret))).child;
    },
    'app-secret-restore-aborted': async () => {
      const secret = await subject('app-secret', 'restored/aborted');
      const point = { secretId: bed.secrets.idOf(secret), step: 'promote', when: 'before' } as const;
      const abort = async () => {
        await bed.pauses.reached(point);
        await rotationOf(secret).signal('abort', { reason: 'wrong backup', requestedBy: 'night shift' });
        await bed.pauses.goOn(point);
      };
      await bed.pauses.stopAt(point);
      return (await restored(secret, () => scheduleDeletion(secret), abort)).child;
    },
    'single-user-restored': async () => {
      const secret = await subject('single-user', 'restored/single-user');
      return (await restored(secret, () => bed.rotate(secret))).child;
    },
    'alternating-users-restored': async () => {
      const secret = await subject('alternating-users', 'restored/alternating-users');
      const change = async () => {
        await bed.rotate(secret);
        await bed.rotate(secret);
      };
      return (await restored(secret, change)).child;
    },
    'api-key-restored': async () => {
      const secret = await subject('api-key', 'restored/api-key');
      return (await restored(secret, () => scheduleDeletion(secret))).child;
    },
    'while-auditing-was-down': async () => {
      const secret = await subject('app-secret', 'waiting');
      const handle = await bed.start(secret);
      await lab.postgres.kill();
      await status(secret, 'auditing is down', ({ steps }) => steps.some(({ state }) => state === 'waiting-for-audit'));
      await lab.postgres.restart();
      return ended(handle);
    },
    'app-secret-rotated-and-told': async () => {
      await toldOf('rotated', 'told');
      return run('told');
    },
    'ages-checked': async () => {
      await toldOf('rotated', 'aged');
      await bed.declare({ aged: { type: 'app-secret', maxAge: '1 second' } });
      await sleep(2_000);
      return checked({ start: true });
    },
    'people-told-of-an-environment': async () => {
      await toldOf('rotated', 'aging');
      await bed.declare({ aging: { type: 'app-secret', maxAge: '1 second' } });
      await sleep(2_000);
      const { runId } = await checked({});
      const handle = bed.client.workflow.getHandle(`notification/${bed.environment}/overdue/${runId}`);
      await handle.result();
      return { workflowId: handle.workflowId, runId: (await handle.describe()).runId };
    },
    'ages-refused': () => checked({ limit: 'soon' }),
    'environment-reviewed': async () => {
      await toldOf('rotated', 'reviewed');
      return reviewed({ covers: 'inherited' });
    },
    'environment-reviewed-and-heard-of': async () => {
      await toldOf('rotated', 'heard-of');
      return reviewed({ covers: 'inherited' });
    },
    'environment-reviewed-that-nobody-heard-of': async () => {
      const signingKey = { env: 'KEYTURN_NOTIFY_THAT_NO_WORKER_HAS' };
      const channels = { hook: { type: 'webhook', url: 'https://hooks.example.com/keyturn', signingKey } };
      await bed.declareNotifications({ channels, routes: [{ channels: ['hook'], events: ['review-due'] }] });
      return reviewed({ covers: 'inherited' });
    },
    'review-refused': () => reviewed({ since: 'soon' }),
    'uses-counted-and-rotated': async () => {
      await bed.declare({ used: { type: 'app-secret', rotateAfterUses: 10 } });
      return counted('used', [3, 3, 7, 1], ({ rotations, rotation }) => rotations === 1 && !rotation);
    },
    'uses-of-a-secret-that-cannot-be-rotated': async () => {
      const dependent = await startDependent('shop', '1 second');
      dependent.answer(() => Promise.resolve(dependent.asked > 1 ? 200 : 503));
      const dependents = [dependent.declaration];
      await bed.declare({ worn: { type: 'app-secret', rotateAfterUses: 10, dependents } });
      return counted('worn', [30, -1], ({ problem }) => problem !== undefined).finally(() => dependent.stop());
    },
    'uses-told-by-a-metric': async () => {
      const metered = createMeteredSecrets(bed);
      await metered.declare('metered', { rotateAfterUses: 10 });
      await metered.publish('metered', 12);
      await metered.watch();
      const handle = metered.monitor('metered');
      const rotated = async () => {
        const { rotations, rotation } = await metered.status('metered');
        return rotations === 1 && !rotation;
      };
      await until('it is counted', rotated, { withinMs: 180_000 });
      const { runId } = await handle.describe();
      await handle.cancel();
      await handle.result().catch(() => undefined);
      await metered.close([]);
      return { workflowId: handle.workflowId, runId };
    },
    'metrics-of-uses-watched': async () => {
      const metered = createMeteredSecrets(bed);
      await metered.declare('watched');
      const { workflowId, runId } = await metered.watch();
      await metered.close(['watched', 'metered']);
      return { workflowId, runId };
    },
    'people-told': () => toldOf('rotation-started', 'told-once'),
    'people-told-whom-the-catalog-names': async () => {
      const { client, taskQueue, environment } = bed;
      await bed.declareNotifications({ channels: { log: { type: 'log' } }, routes: [{ channels: ['log'] }] });
      const about = { environment, event: 'overdue', severity: 'warning', message: 'Two secrets are overdue.' };
      return ended(
        await client.workflow.start('notifyPeople', {
          taskQueue,
          workflowId: `notification/${environment}/overdue`,
          args: [about],
        }),
      );
    },
  };

  async function openSession(secret: string): Promise<Client> {
    const { username: user, password, dbname: database } = JSON.parse(await bed.secrets.value(secret)) as Login;
    const session = new Client({ host: bed.databases.host, port: bed.databases.port, user, password, database });
    session.on('error', () => undefined);
    await session.connect();
    return session;
  }

  async function checked(input: Partial<CheckAgesInput>): Promise<Run> {
    const { environment, taskQueue } = bed;
    const workflowId = `ages/${environment}/${input.limit ?? 'all'}`;
    const args = [{ environment, requestedBy: 'tester', ...input }];
    return ended(await bed.client.workflow.start('checkSecretAges', { workflowId, taskQueue, args }));
  }

  async function reviewed(input: Partial<ReviewInput>): Promise<Run> {
    const { environment, taskQueue } = bed;
    const workflowId = `review/${environment}/${input.since ?? 'inherited'}`;
    const args = [{ environment, requestedBy: 'tester', ...input }];
    return ended(await bed.client.workflow.start('reviewEnvironment', { workflowId, taskQueue, args }));
  }

  /** Reports uses, the third report twice, until the counts are as they are to be; then the monitor is cancelled. */
  async function counted(secret: string, counts: number[], done: (status: UsageStatus) => boolean): Promise<Run> {
    const { environment, taskQueue, client } = bed;
    const handle = client.workflow.getHandle(usageWorkflowId(environment, secret));
    const report = (count: number, n: number) =>
      client.workflow.signalWithStart(USAGE_WORKFLOW, {
        workflowId: handle.workflowId,
        taskQueue,
        args: [{ environment, secret }],
        signal: USAGE_SIGNAL,
        signalArgs: [{ batch: `batch-${n}`, count }],
      });
    for (const [n, count] of counts.entries()) await report(count, n);
    await report(1, 0);
    await until('it is counted', async () => done(await handle.query<UsageStatus>('status')));
    const { runId } = await handle.describe();
    await handle.cancel();
    await handle.result().catch(() => undefined);
    return { workflowId: handle.workflowId, runId };
  }

  async function inCluster(record: (stage: ClusterBed) => Promise<Run>): Promise<Run> {
    const stage = await openClusterBed();
    try {
      await stage.bed.startWorker();
      return await record(stage);
    } finally {
      await stage.close();
    }
  }

  async function startDeployed(stage: ClusterBed, secret: string, spec: object = {}) {
    const declaration = { stepTimeout: '60 seconds', dependents: [stage.dependentOn(secret)] };
    await stage.bed.databases.alternatingUsers(secret, { declaration });
    await stage.deploy(secret, { spec });
    return stage.bed.start(secret);
  }

  /** Declares a secret of which people are told, and rotates it. @returns the run that tells of the event. */
  async function toldOf(event: NotificationEvent, secret: string): Promise<Run> {
    await bed.declareNotifications({ channels: { log: { type: 'log' } }, routes: [{ channels: ['log'] }] });
    await bed.declare({ [secret]: { type: 'app-secret' } });
    const { runId } = await run(secret);
    const workflowId = `notification/${bed.secrets.idOf(secret)}/${event}/${runId}`;
    const handle = bed.client.workflow.getHandle(workflowId);
    await handle.result();
    return { workflowId, runId: (await handle.describe()).runId };
  }

  async function scheduleDeletion(secret: string): Promise<void> {
    await bed.secretsManager.send(new DeleteSecretCommand({ SecretId: bed.secrets.idOf(secret) }));
  }

  /** Restores one secret from a backup that was taken before something happened. */
  async function restored(secret: string, change: () => Promise<unknown>, meanwhile = () => Promise.resolve()) {
    await backUp(bed);
    await change();
    const handle = await startRestore(bed, { secrets: [secret] });
    await meanwhile();
    const parent = await ended(handle);
    const { workflowId, runId } = await rotationOf(secret).describe();
    return { parent, child: { workflowId, runId } };
  }

  async function throughTheFrontDoor(secret: string): Promise<Run> {
    const { client, taskQueue, environment } = bed;
    const handle = await client.workflow.start('rotate', {
      taskQueue,
      workflowId: `front-door-${environment}-${secret}`,
      args: [{ environment, secret, requestedBy: 'tester' }],
    });
    return ended(handle);
  }
}
