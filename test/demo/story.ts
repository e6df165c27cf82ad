import type { WorkerProcess } from '../lab/worker-process';
import type { Point } from '../testbed/pauses';
import { opensDatabase } from '../lab/postgres-login';
import { Application, readCredential } from './application';
import { rotate, seconds, short } from './stage';
import type { Chapter, Stage } from './stage';

const nobody = { application: '-', oldCredential: '-' };

export async function rotateAppSecret(stage: Stage, secretId: string): Promise<Chapter> {
  stage.say(`\n1. An application secret: ${secretId} does not exist yet, so Keyturn creates it, then rotates it.`);
  await rotate(stage, secretId, 'app-secret');
  const startedAt = Date.now();
  const { outcome, versions } = await rotate(stage, secretId, 'app-secret');
  return {
    what: 'application secret',
    secretId,
    outcome,
    took: seconds(startedAt),
    oldVersion: short(versions.previous),
    newVersion: short(versions.current),
    ...nobody,
    asPromised: outcome === 'rotated' && versions.current !== versions.previous,
  };
}

/** @param mayFail whether the strategy has a moment in which an application is refused. */
export async function rotateUnderLoad(
  stage: Stage,
  secretId: string,
  about: { what: string; words: string; mayFail: boolean; oldIsRefused: boolean },
): Promise<Chapter> {
  stage.say(about.words);
  const application = new Application(stage.secretsManager, secretId);
  application.start();
  const startedAt = Date.now();
  const { outcome, versions } = await rotate(stage, secretId, 'database');
  const took = seconds(startedAt);
  const { queries, failed } = await settle(application);
  const old = await openedBy(stage, secretId, versions.previous);
  const current = await openedBy(stage, secretId, versions.current);
  return {
    what: about.what,
    secretId,
    outcome,
    took,
    oldVersion: short(versions.previous),
    newVersion: short(versions.current),
    application: `${queries} queries, ${failed} failed${windowOf(application)}`,
    oldCredential: old ? 'works until the next rotation' : 'refused',
    asPromised: outcome === 'rotated' && current && old !== about.oldIsRefused && (about.mayFail || failed === 0),
  };
}

/** Kills the worker after the password has changed and before anybody heard of it. */
export async function killWorker(stage: Stage, secretId: string, victim: WorkerProcess): Promise<Chapter> {
  stage.say(
    `\n4. A worker is killed with SIGKILL just after it changed the password of ${secretId} and before it could say so.`,
  );
  const point: Point = { secretId, step: 'setPassword', when: 'after' };
  await stage.pauses.stopAt(point);
  const startedAt = Date.now();
  const running = rotate(stage, secretId, 'database');
  await stage.pauses.reached(point);
  const { code, signal } = await victim.kill('SIGKILL');
  stage.say(`   worker ${victim.pid} ended with ${signal ?? code}; AWSCURRENT does not open the database now`);
  await stage.pauses.goOn(point);
  const successor = await stage.startWorker();
  stage.say(
    `   worker ${successor.pid} takes over; Temporal hands it the step once the dead one's heartbeats are missed`,
  );
  const { outcome, versions } = await running;
  const old = await openedBy(stage, secretId, versions.previous);
  const current = await openedBy(stage, secretId, versions.current);
  return {
    what: 'worker killed',
    secretId,
    outcome,
    took: seconds(startedAt),
    oldVersion: short(versions.previous),
    newVersion: short(versions.current),
    application: '-',
    oldCredential: old ? 'still works' : 'refused',
    asPromised: outcome === 'rotated' && signal === 'SIGKILL' && current && !old,
  };
}

/** A rotation whose dependent does not become healthy. */
export async function failAndRollBack(stage: Stage, secretId: string): Promise<Chapter> {
  stage.say(
    `\n5. A rotation fails: the workload that depends on ${secretId} does not become healthy with the new password.`,
  );
  const before = await readCredential(stage.secretsManager, secretId, { VersionStage: 'AWSCURRENT' });
  const startedAt = Date.now();
  const failure = await rotate(stage, secretId, 'database').then(
    () => undefined,
    (error: unknown) => error as { type?: string; message: string },
  );
  stage.say(`   ${failure?.type}: ${failure?.message.split('\n')[0]}`);
  const after = await readCredential(stage.secretsManager, secretId, { VersionStage: 'AWSCURRENT' });
  const works = await opensDatabase(after);
  return {
    what: 'rollback',
    secretId,
    outcome: failure?.type === 'RotationRolledBack' ? 'rolled back' : 'not as promised',
    took: seconds(startedAt),
    oldVersion: short(before.versionId),
    newVersion: short(after.versionId),
    application: '-',
    oldCredential: works ? 'works again' : 'refused',
    asPromised: failure?.type === 'RotationRolledBack' && works && after.versionId === before.versionId,
  };
}

/** Lets the application go on for a moment after the rotation. */
async function settle(application: Application): Promise<Application> {
  await new Promise((resolve) => setTimeout(resolve, 500));
  await application.stop();
  return application;
}

async function openedBy(stage: Stage, secretId: string, versionId: string | undefined): Promise<boolean> {
  return opensDatabase(await readCredential(stage.secretsManager, secretId, { VersionId: versionId ?? '' }));
}

function windowOf({ firstFailureAt, lastFailureAt }: Application): string {
  return firstFailureAt === undefined || lastFailureAt === undefined
    ? ''
    : ` within ${lastFailureAt - firstFailureAt} ms`;
}
