import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import type { DataKeyRing } from './data-keys';

const ENCODING = 'binary/encrypted';
const CIPHER = 'aes-256-gcm';
/** 96 bits, the length that GCM is made for (NIST SP 800-38D, section 5.2.1.1). */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Metadata names of an encrypted payload. */
const DATA_KEY = 'encryption-data-key';

/** A payload that cannot be decrypted: changed on its way, of another namespace, or malformed. */
class PayloadDecryptionError extends Error {
  override readonly name = 'PayloadDecryptionError';
}

/**
 * Encrypts every payload, with its metadata, by AES-256-GCM under a data key of KMS; the encrypted data key travels in
 * the payload's metadata. Payloads from before encryption was turned on pass through decoding as they are.
 *
 * The `data` of an encrypted payload is nonce (12 bytes), ciphertext, tag (16 bytes). The plaintext is the length of
 * the metadata (4 bytes, big-endian), the metadata as JSON with base64 values, then the original data.
 */
export function createEncryptingCodec(keys: DataKeyRing): PayloadCodec {
  return {
    encode: (payloads) => Promise.all(payloads.map((payload) => encrypt(payload, keys))),
    decode: (payloads) =>
      Promise.all(
        payloads.map((payload) => (isEncrypted(payload) ? decrypt(payload, keys) : Promise.resolve(payload))),
      ),
  };
}

async function encrypt(payload: Payload, keys: DataKeyRing): Promise<Payload> {
  const key = await keys.forEncryption();
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key.plaintext, nonce);
  const data = Buffer.concat([nonce, cipher.update(pack(payload)), cipher.final(), cipher.getAuthTag()]);
  return { metadata: { encoding: Buffer.from(ENCODING), [DATA_KEY]: key.encrypted }, data };
}

async function decrypt(payload: Payload, keys: DataKeyRing): Promise<Payload> {
  const encryptedKey = payload.metadata?.[DATA_KEY];
  const data = Buffer.from(payload.data ?? []);
  if (!encryptedKey || data.length < NONCE_BYTES + TAG_BYTES) {
    throw new PayloadDecryptionError('an encrypted payload is incomplete: it has no data key or is too short');
  }
  const plaintextKey = await keys.forDecryption(encryptedKey);
  const decipher = createDecipheriv(CIPHER, plaintextKey, data.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(data.subarray(-TAG_BYTES));
  try {
    return unpack(Buffer.concat([decipher.update(data.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]));
  } catch {
    throw new PayloadDecryptionError(
      'an encrypted payload does not match its authentication tag: it was changed after it was written',
    );
  }
}

function isEncrypted(payload: Payload): boolean {
  const encoding = payload.metadata?.encoding;
  return encoding !== undefined && encoding !== null && Buffer.from(encoding).toString() === ENCODING;
}

function pack(payload: Payload): Buffer {
  const entries = Object.entries(payload.metadata ?? {}).map(([name, bytes]) => [
    name,
    Buffer.from(bytes).toString('base64'),
  ]);
  const metadata = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(metadata.length);
  return Buffer.concat([length, metadata, payload.data ?? Buffer.alloc(0)]);
}

function unpack(plaintext: Buffer): Payload {
  const dataStart = 4 + plaintext.readUInt32BE();
  const metadata = JSON.parse(plaintext.toString('utf8', 4, dataStart)) as Record<string, string>;
  return {
    metadata: Object.fromEntries(Object.entries(metadata).map(([name, bytes]) => [name, Buffer.from(bytes, 'base64')])),
    data: plaintext.subarray(dataStart),
  };
}
