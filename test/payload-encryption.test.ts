import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import type { Payload } from '@temporalio/common';
import { defaultPayloadConverter } from '@temporalio/common';
import { connectTemporal } from '../src/runtime/connect-temporal';
import { readConfig } from '../src/runtime/config';
import type { DataKey, DataKeySource } from '../src/runtime/data-keys';
import { DataKeyRing } from '../src/runtime/data-keys';
import { createKmsDataKeySource } from '../src/runtime/kms-data-keys';
import { createEncryptingCodec } from '../src/runtime/payload-codec';
import { spawnWorker } from './lab/worker-process';

const CANARY = 'canary-in-a-payload';
const payloadOf = (value: unknown): Payload => defaultPayloadConverter.toPayload(value) as Payload;
const valueOf = (payload: Payload | undefined): unknown => defaultPayloadConverter.fromPayload(payload as Payload);
const ignore = () => undefined;

let kms: KMSClient;
let kmsKey: string;

beforeAll(async () => {
  kms = new KMSClient({});
  kmsKey = (await kms.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId as string;
});

afterAll(() => kms.destroy());

function codecFor(namespace = 'default', source: DataKeySource = createKmsDataKeySource(kms, kmsKey, namespace)) {
  return createEncryptingCodec(new DataKeyRing(source, ignore));
}

describe('an encrypted payload', () => {
  it('comes back as it was from another process with the same KMS key, and holds nothing readable', async () => {
    const original = { text: CANARY, nested: [1, null, 'ü'] };
    const [encrypted] = await codecFor().encode([payloadOf(original)]);
    expect(Buffer.from(encrypted?.data ?? []).toString('latin1')).not.toContain('canary');
    expect(Object.keys(encrypted?.metadata ?? {}).sort()).toEqual(['encoding', 'encryption-data-key']);
    const [decrypted] = await codecFor().decode([encrypted as Payload]);
    expect(valueOf(decrypted)).toEqual(original);
  });

  it.each(['nonce', 'ciphertext', 'tag'])('whose %s was changed is refused', async (part) => {
    const codec = codecFor();
    const [encrypted] = await codec.encode([payloadOf(CANARY)]);
    const data = Buffer.from(encrypted?.data ?? []);
    const at = { nonce: 0, ciphertext: 20, tag: data.length - 1 }[part] as number;
    data.writeUInt8(data.readUInt8(at) ^ 1, at);
    await expect(codec.decode([{ ...encrypted, data }])).rejects.toThrow(/changed after it was written/);
  });

  it('that was cut short is refused', async () => {
    const codec = codecFor();
    const [encrypted] = await codec.encode([payloadOf(CANARY)]);
    await expect(codec.decode([{ ...encrypted, data: Buffer.alloc(20) }])).rejects.toThrow(/incomplete/);
    await expect(
      codec.decode([{ ...encrypted, metadata: { encoding: encrypted?.metadata?.encoding as Uint8Array } }]),
    ).rejects.toThrow(/incomplete/);
  });

  it('of one namespace cannot be read in another', async () => {
    const encrypted = await codecFor('production').encode([payloadOf(CANARY)]);
    await expect(codecFor('default').decode(encrypted)).rejects.toThrow();
  });
});

it('payloads from before encryption was turned on are still read', async () => {
  const plain = payloadOf({ environment: 'dev' });
  expect(await codecFor().decode([plain])).toEqual([plain]);
});

describe('data keys', () => {
  /** Data keys without KMS that count how often they were asked for. */
  function countingSource() {
    const calls = { generate: 0, decrypt: 0 };
    const source: DataKeySource & { down: boolean } = {
      down: false,
      async generate(): Promise<DataKey> {
        if (this.down) throw new Error('KMS is down');
        calls.generate += 1;
        return { plaintext: Buffer.alloc(32, calls.generate), encrypted: Buffer.from([calls.generate]) };
      },
      async decrypt(encrypted) {
        if (this.down) throw new Error('KMS is down');
        calls.decrypt += 1;
        return Buffer.alloc(32, encrypted[0]);
      },
    };
    return { source, calls };
  }
  const limits = { payloadsPerKey: 3, maxAgeMs: 1_000, cachedKeys: 2 };
  const settle = () => new Promise(setImmediate);

  it('are asked for once by payloads that are encrypted at the same time, and replaced after so many', async () => {
    const { source, calls } = countingSource();
    const ring = new DataKeyRing(source, ignore, limits);
    await Promise.all([ring.forEncryption(), ring.forEncryption(), ring.forEncryption()]);
    expect(calls.generate).toBe(1);
    await ring.forEncryption();
    await settle();
    expect((await ring.forEncryption()).encrypted).toEqual(Buffer.from([2]));
  });

  it('are used on past their limits while KMS is down, and replaced when it is back', async () => {
    const { source } = countingSource();
    let now = 0;
    const failures: unknown[] = [];
    const ring = new DataKeyRing(
      source,
      (error) => failures.push(error),
      limits,
      () => now,
    );
    await ring.forEncryption();
    source.down = true;
    now = 2_000;
    for (let i = 0; i < 10; i++) expect((await ring.forEncryption()).encrypted).toEqual(Buffer.from([1]));
    await settle();
    // One attempt, not one for each payload.
    expect(failures).toHaveLength(1);
    source.down = false;
    now = 60_000;
    await ring.forEncryption();
    await settle();
    expect((await ring.forEncryption()).encrypted).toEqual(Buffer.from([2]));
  });

  it('are decrypted once while they are cached, and again when they are old, dropped or were refused', async () => {
    const { source, calls } = countingSource();
    let now = 0;
    const ring = new DataKeyRing(source, ignore, limits, () => now);
    const read = (id: number) => ring.forDecryption(Buffer.from([id]));
    await Promise.all([read(7), read(7), read(7)]);
    expect(calls.decrypt).toBe(1);
    await read(8);
    await read(9);
    await read(7);
    expect(calls.decrypt).toBe(4);
    now = 2_000;
    await read(7);
    expect(calls.decrypt).toBe(5);
    source.down = true;
    await expect(read(1)).rejects.toThrow('KMS is down');
    source.down = false;
    expect(await read(1)).toEqual(Buffer.alloc(32, 1));
  });
});

it('with KEYTURN_PAYLOAD_KMS_KEY a rotation leaves no input, result or failure message in clear in its history', async () => {
  const environment = `t${randomBytes(4).toString('hex')}`;
  const directory = await mkdtemp(join(tmpdir(), 'keyturn-test-'));
  const catalog = join(directory, 'keyturn.yaml');
  await writeFile(catalog, `environments: { ${environment}: { secrets: { key: { type: app-secret } } } }`);
  const env = {
    ...settings(),
    KEYTURN_CATALOG: catalog,
    KEYTURN_TASK_QUEUE: `keyturn-${environment}`,
    KEYTURN_PAYLOAD_KMS_KEY: kmsKey,
  };
  const worker = await spawnWorker(env);
  await worker.ready;
  const { client, close } = await connectTemporal(readConfig(env));
  try {
    const start = (secret: string) =>
      client.workflow.start('rotateAppSecret', {
        taskQueue: env.KEYTURN_TASK_QUEUE,
        workflowId: `rotation/${environment}/${secret}`,
        args: [{ environment, secret, reason: CANARY }],
      });
    const rotated = await start('key');
    expect(await rotated.result()).toMatchObject({ outcome: 'rotated' });
    expect(await rotated.query('status')).toMatchObject({ phase: 'finished' });
    const refused = await start('unknown');
    const message = expect.stringContaining('declares no secret') as string;
    await expect(refused.result()).rejects.toMatchObject({ cause: { message } });

    for (const handle of [rotated, refused]) {
      const history = JSON.stringify(await handle.fetchHistory(), decodedPayloads);
      expect(history).toContain('binary/encrypted');
      expect(history).not.toContain(CANARY);
      expect(history).not.toContain('declares no secret');
    }
  } finally {
    await close();
    await worker.stop();
    await rm(directory, { recursive: true });
  }
});

/** The lab's settings, which jest-setup put into this process's environment. */
function settings(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => /^(AWS|TEMPORAL|KEYTURN)_/.test(name)),
  ) as Record<string, string>;
}

/** A payload's bytes in a history as JSON, decoded from base64. */
function decodedPayloads(key: string, value: unknown): unknown {
  return (key === 'data' || key === 'encoding') && typeof value === 'string'
    ? Buffer.from(value, 'base64').toString('latin1')
    : value;
}
