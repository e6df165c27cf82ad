import { randomBytes } from 'node:crypto';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { awsErrorResponse, startFaultProxy } from './lab/fault-proxy';
import type { FaultProxy } from './lab/fault-proxy';
import { awsRequest } from './testbed/aws-wire';
import { backUp, createBackupPlace, restore } from './testbed/backups';
import type { BackupPlace } from './testbed/backups';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let place: BackupPlace;
let aws: FaultProxy;

beforeAll(async () => {
  place = await createBackupPlace();
  aws = await startFaultProxy(Number(new URL(process.env['AWS_ENDPOINT_URL'] ?? '').port));
  bed = await openTestbed(place.policy);
  bed.alsoStop(aws);
  await bed.startWorker({ AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${aws.port}` });
});
afterAll(async () => {
  await bed.close();
  place.close();
});

/** Has Secrets Manager refuse to move AWSCURRENT of a secret once. */
function denyPromote(secret: string): void {
  aws.answerWith(
    (bytes) => {
      const { operation, body } = awsRequest(bytes);
      return (
        operation === 'UpdateSecretVersionStage' &&
        body['SecretId'] === bed.secrets.idOf(secret) &&
        body['VersionStage'] === 'AWSCURRENT'
      );
    },
    awsErrorResponse('AccessDeniedException', 'User is not authorized to perform this'),
    1,
  );
}

async function setPassword(secret: string, stage: string): Promise<void> {
  const { username, password } = JSON.parse(await bed.secrets.value(secret, stage)) as Record<string, string>;
  await bed.databases.asSuperuser(
    `ALTER ROLE ${escapeIdentifier(username ?? '')} PASSWORD ${escapeLiteral(password ?? '')}`,
  );
}

/** A login that only a version other than AWSCURRENT opens, since it was backed up. */
const WAYS_IN = {
  AWSPREVIOUS: async (secret: string) => {
    await bed.rotate(secret);
    await bed.rotate(secret);
  },
  AWSPENDING: async (secret: string) => {
    await bed.rotate(secret);
    const current = JSON.parse(await bed.secrets.value(secret)) as object;
    const password = randomBytes(18).toString('base64url');
    await bed.secrets.putPending(secret, JSON.stringify({ ...current, password }));
  },
};

describe.each(Object.entries(WAYS_IN))('a restore that came in by %s and cannot promote', (stage, change) => {
  const secret = `by/${stage.toLowerCase()}`;

  test('is undone: the login has the password of that version again, and every label is where it was', async () => {
    await bed.databases.singleUser(secret);
    const { url } = await backUp(bed);
    await change(secret);
    await setPassword(secret, stage);
    const labels = await bed.secrets.labels(secret);
    denyPromote(secret);
    const { secrets } = await restore(bed, { from: url, secrets: [secret] });
    expect(secrets).toEqual([
      expect.objectContaining({
        outcome: 'failed',
        message: expect.stringContaining('what was done is undone. promote failed') as string,
      }),
    ]);
    expect(await bed.secrets.labels(secret)).toEqual(labels);
    expect(await bed.databases.opens(secret, stage)).toBe(true);
  });

  test('can be made again', async () => {
    expect(await restore(bed, { secrets: [secret] })).toMatchObject({ secrets: [{ outcome: 'restored' }] });
    expect(await bed.databases.opens(secret)).toBe(true);
  });
});
