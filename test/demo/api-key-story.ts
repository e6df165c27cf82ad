import { OperatorError } from '../../src/client/errors';
import { secondarySecretIdOf } from '../../src/rotation/names';
import type { RotationResult } from '../../src/rotation/types';
import { accepted } from '../testbed/api-keys';
import { until } from '../testbed/until';
import { KeyClient, readKey } from './key-client';
import { begin, follow, partsOf, seconds, short } from './stage';
import type { Chapter, Stage } from './stage';

/** How long an old key must have been unused before it is revoked: longer than the clients trust what they have read. */
export const QUIET_PERIOD = '1 second';

/** Both keys work for seconds; an operator gives the new one half of the use; then only the new one now. */
export async function rotateWithGracePeriod(stage: Stage, secretId: string): Promise<Chapter> {
  stage.say(
    `\n6. An API key with a grace period of 3 seconds instead of 7 days. One client knows only ${secretId}; another takes up the\n` +
      `   new key in ${secondarySecretIdOf(secretId)} for the share of its calls that stands there.`,
  );
  const primaryOnly = new KeyClient(stage.secretsManager, stage.keyService, secretId, false);
  const phasingIn = new KeyClient(stage.secretsManager, stage.keyService, secretId, true);
  const { now, ...told } = await underLoad([primaryOnly, phasingIn], () =>
    steered(stage, secretId, '3 seconds', async (environment, secret) => {
      const { accepted } = await stage.client.setPhaseIn(environment, secret, { percent: 50, requestedBy: 'demo' });
      return `sets the phase-in: ${accepted}`;
    }),
  );
  const calls = primaryOnly.calls + phasingIn.calls;
  const failed = primaryOnly.failed + phasingIn.failed;
  return {
    what: 'API key',
    ...told,
    application: `${calls} calls, ${failed} failed, ${phasingIn.callsWithSecondary} phased in`,
    oldCredential: now.old ? 'still works' : 'refused',
    asPromised:
      told.outcome === 'rotated' &&
      failed === 0 &&
      phasingIn.callsWithSecondary > 0 &&
      !now.old &&
      now.new &&
      !now.secondary,
  };
}

/** An operator changes their mind in the grace period: the new key goes, and the old one was never touched. */
export async function abortInGracePeriod(stage: Stage, secretId: string): Promise<Chapter> {
  stage.say('\n7. The same API key again, and an operator aborts in the grace period.');
  const client = new KeyClient(stage.secretsManager, stage.keyService, secretId, true);
  const { now, ...told } = await underLoad([client], () =>
    steered(stage, secretId, '1 hour', async (environment, secret) => {
      const { accepted } = await stage.client.abort(environment, secret, { requestedBy: 'demo' });
      return `aborts: ${accepted}`;
    }),
  );
  return {
    what: 'API key, aborted',
    ...told,
    application: `${client.calls} calls, ${client.failed} failed`,
    oldCredential: now.old ? 'works, the new one is gone' : 'refused',
    asPromised: told.outcome === 'aborted' && client.failed === 0 && now.old && !now.new && !now.secondary,
  };
}

/** Rotates, and lets an operator act in the grace period, once both keys are seen to be accepted. */
async function steered(
  stage: Stage,
  secretId: string,
  gracePeriod: string,
  act: (environment: string, secret: string) => Promise<string>,
) {
  const startedAt = Date.now();
  const old = await readKey(stage.secretsManager, secretId);
  const ended = follow(stage, await begin(stage, secretId, 'api-key', { gracePeriod })).catch(abortedOnly);
  const key = await Promise.race([newKeyInGrace(stage, secretId), ended.then(() => '')]);
  const inGrace = await whatWorks(stage, secretId, old?.key, key);
  if (!inGrace.old || !inGrace.new) throw new Error(`Not both keys of ${secretId} are accepted in its grace period`);
  const { environment, secret } = partsOf(secretId);
  stage.say(`   both keys are accepted; an operator ${await act(environment, secret)}`);
  const { outcome, versions } = await ended;
  const oldVersion = short(versions.previous ?? versions.current);
  const told = { secretId, outcome, took: seconds(startedAt), oldVersion, newVersion: short(versions.current) };
  return { ...told, now: await whatWorks(stage, secretId, old?.key, key) };
}

/** For the client an abort is a failure of the rotation that it waits for. */
function abortedOnly(error: unknown): RotationResult {
  if (error instanceof OperatorError && error.type === 'Aborted') return error.details as RotationResult;
  throw error;
}

/** Waits until the grace period has begun and the secondary offers the new key. */
function newKeyInGrace(stage: Stage, secretId: string): Promise<string> {
  const { environment, secret } = partsOf(secretId);
  return until('the grace period', async () => {
    const { status } = await stage.client.status(environment, secret);
    if (status?.phase !== 'grace-period') return undefined;
    return (await readKey(stage.secretsManager, secondarySecretIdOf(secretId)))?.key;
  });
}

/** Asked of the key service itself; and whether there is a secondary secret. */
async function whatWorks(stage: Stage, secretId: string, oldKey = '', newKey = '') {
  return {
    old: await accepted(stage.keyService, oldKey),
    new: await accepted(stage.keyService, newKey),
    secondary: (await readKey(stage.secretsManager, secondarySecretIdOf(secretId))) !== undefined,
  };
}

/** Lets clients make calls meanwhile, and for a moment after. */
async function underLoad<T>(clients: KeyClient[], work: () => Promise<T>): Promise<T> {
  for (const client of clients) client.start();
  try {
    const done = await work();
    await new Promise((resolve) => setTimeout(resolve, 500));
    return done;
  } finally {
    await Promise.all(clients.map((client) => client.stop()));
  }
}
