import { UpdateSecretVersionStageCommand } from '@aws-sdk/client-secrets-manager';
import { startDependent } from './testbed/dependent';
import { awsRequests } from './testbed/aws-wire';
import type { Point } from './testbed/pauses';
import { createSubject, DRAWN_KINDS, KINDS } from './testbed/subjects';
import type { Subject } from './testbed/subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { inPhase } from './testbed/watching';
import { startWireTap } from './testbed/wire-tap';
import type { WireTap } from './testbed/wire-tap';

let bed: Testbed;
let tap: WireTap;

beforeAll(async () => {
  tap = await startWireTap(Number(new URL(process.env['AWS_ENDPOINT_URL'] ?? '').port));
  bed = await openTestbed();
  await bed.startWorker({ AWS_ENDPOINT_URL: `http://127.0.0.1:${tap.port}` });
});
afterAll(() => bed.close());
afterAll(async () => {
  await tap.stop();
});

/** The label moves of one secret so far, in the words of the request. */
const movesOf = (secret: string) =>
  awsRequests(tap.connections)
    .filter(({ operation, body }) => {
      return operation === 'UpdateSecretVersionStage' && body['SecretId'] === bed.secrets.idOf(secret);
    })
    .map(({ body: { VersionStage, RemoveFromVersionId, MoveToVersionId } }) => ({
      VersionStage,
      RemoveFromVersionId,
      MoveToVersionId,
    }));

async function standStill(secret: string, step: string, when: Point['when']) {
  const point: Point = { secretId: bed.secrets.idOf(secret), step, when };
  await bed.pauses.stopAt(point);
  const handle = await bed.start(secret);
  await bed.pauses.reached(point);
  return { handle, candidate: handle.firstExecutionRunId, goOn: () => bed.pauses.goOn(point) };
}

/** A rotation that is aborted once AWSCURRENT has moved. */
async function rotateAndAbort(secret: string): Promise<{ candidate: string }> {
  const { handle, candidate, goOn } = await standStill(secret, 'promote', 'after');
  await handle.signal('abort');
  await goOn();
  expect(await handle.result()).toMatchObject({ outcome: 'aborted' });
  return { candidate };
}

test.each(DRAWN_KINDS)(
  '%s: a rotation, its rollback and the way back name both ends of every label that they move',
  async (kind) => {
    const { secret } = await createSubject(bed, kind, `moves/${kind}`);
    const first = (await bed.secrets.labels(secret)).current;
    const second = (await bed.rotate(secret)).versions.current;
    expect(movesOf(secret)).toEqual([
      { VersionStage: 'AWSCURRENT', RemoveFromVersionId: first, MoveToVersionId: second },
      { VersionStage: 'AWSPENDING', RemoveFromVersionId: second },
    ]);

    const { candidate } = await rotateAndAbort(secret);
    expect(movesOf(secret).slice(2)).toEqual([
      { VersionStage: 'AWSCURRENT', RemoveFromVersionId: second, MoveToVersionId: candidate },
      { VersionStage: 'AWSPENDING', RemoveFromVersionId: candidate },
      { VersionStage: 'AWSCURRENT', RemoveFromVersionId: candidate, MoveToVersionId: second },
      { VersionStage: 'AWSPREVIOUS', RemoveFromVersionId: candidate, MoveToVersionId: first },
      // It is nowhere: while the rest is undone, the candidate has to be found.
      { VersionStage: 'AWSPENDING', MoveToVersionId: candidate },
      { VersionStage: 'AWSPENDING', RemoveFromVersionId: candidate },
    ]);

    await bed.rotate(secret, {}, 'rollbackSecret');
    expect(movesOf(secret).slice(8)).toEqual([
      { VersionStage: 'AWSPENDING', MoveToVersionId: first },
      { VersionStage: 'AWSCURRENT', RemoveFromVersionId: second, MoveToVersionId: first },
      { VersionStage: 'AWSPENDING', RemoveFromVersionId: first },
    ]);
  },
);

test.each(DRAWN_KINDS)('%s: the candidate of a terminated rotation loses AWSPENDING by name', async (kind) => {
  const { secret } = await createSubject(bed, kind, `stale/${kind}`);
  const { current } = await bed.secrets.labels(secret);
  const { handle, candidate: stale, goOn } = await standStill(secret, 'createCandidate', 'after');
  await handle.terminate();
  await goOn();
  const { versions } = await bed.rotate(secret);
  expect(movesOf(secret)).toEqual([
    { VersionStage: 'AWSPENDING', RemoveFromVersionId: stale },
    { VersionStage: 'AWSCURRENT', RemoveFromVersionId: current, MoveToVersionId: versions.current },
    { VersionStage: 'AWSPENDING', RemoveFromVersionId: versions.current },
  ]);
});

test.each(KINDS)('%s: a label that has moved already is success', async (kind) => {
  const { secret, opens } = await createSubject(bed, kind, `already/${kind}`);
  const { current } = await bed.secrets.labels(secret);
  const { handle, candidate, goOn } = await standStill(secret, 'promote', 'before');
  await bed.secretsManager.send(
    new UpdateSecretVersionStageCommand({
      SecretId: bed.secrets.idOf(secret),
      VersionStage: 'AWSCURRENT',
      RemoveFromVersionId: current,
      MoveToVersionId: candidate,
    }),
  );
  await goOn();
  expect(await handle.result()).toMatchObject({ outcome: 'rotated', versions: { current: candidate } });
  expect(await bed.secrets.labels(secret)).toEqual({ current: candidate, previous: current });
  expect(movesOf(secret)).toEqual([
    { VersionStage: 'AWSCURRENT', RemoveFromVersionId: current, MoveToVersionId: candidate },
    { VersionStage: 'AWSPENDING', RemoveFromVersionId: candidate },
  ]);
  expect(await opens()).toBe(true);
});

test.each(KINDS)('%s: after a rollback the labels are exactly as before, AWSPREVIOUS too', async (kind) => {
  const shop = await startDependent('shop');
  try {
    const subject = await createSubject(bed, kind, `as-before/${kind}`, { dependents: [shop.declaration] });
    // With one version, and then with AWSPREVIOUS and versions of earlier rotations.
    await failAndCompare(subject, shop);
    await bed.rotate(subject.secret);
    await bed.rotate(subject.secret);
    await failAndCompare(subject, shop);
  } finally {
    await shop.stop();
  }
});

async function failAndCompare({ kind, secret, situation, opens }: Subject, shop: { answer(status: number): void }) {
  const before = await situation();
  shop.answer(500);
  const handle = await bed.start(secret);
  await inPhase(handle, 'rolling-back');
  shop.answer(200);
  const { type, details } = await failureOf(handle.result());
  expect(type).toBe('RotationRolledBack');
  // A new key is offered beside the old one before it takes its place.
  expect(details).toMatchObject({ step: kind === 'api-key' ? 'deliverSecondary' : 'deliver' });
  const after = await situation();
  expect(after.labels).toEqual(before.labels);
  expect(after.versions).toEqual(before.versions);
  expect(await opens()).toBe(true);
}

test('every read of a value names its version or its stage', () => {
  const reads = awsRequests(tap.connections).filter(({ operation }) => operation === 'GetSecretValue');
  expect(reads.length).toBeGreaterThan(100);
  for (const { body } of reads) expect([body['VersionId'], body['VersionStage']].filter(Boolean)).toHaveLength(1);
});
