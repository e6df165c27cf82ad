import { z } from 'zod';
import type { KmsKeyChange } from '../../rotation/events';

/** What a message says, before anybody has looked whether the catalog knows of it. */
export type ReadEvent = { id?: string } & (
  | { kind: 'leak'; environment: string; secret: string; reason: string }
  /** The name or ARN of a secret, as the caller wrote it. */
  | { kind: 'secret-call'; secretId: string; operation: string; by: string; at: string }
  | { kind: 'kms-key'; keyId: string; change: KmsKeyChange; by?: string; at: string }
  | { kind: 'user-finding'; userName: string; finding: string }
);

/** What becomes of a message that nothing is done about. `left` is for its sender to correct: it stays in the queue. */
export type NotAnEvent = { ignored: string } | { left: string };

/** More than any event of AWS that is read here has. */
const MOST_BYTES = 64 * 1024;

const text = (longest: number) =>
  z
    .string()
    .min(1)
    .max(longest)
    .refine((value) => !/\p{Cc}/u.test(value));
/** These become part of a workflow's ID, for which Temporal takes 1,000 characters. */
const eventId = z.string().regex(/^[\w.:-]{1,128}$/);
const KMS_KEY_ID = /^[\w-]{1,128}$/;

/** Amazon EventBridge User Guide, 'AWS events: event structure'. */
const envelope = z.object({
  id: eventId,
  source: z.string(),
  'detail-type': z.string(),
  time: z.iso.datetime({ offset: true }),
  detail: z.record(z.string(), z.unknown()),
});
type Envelope = z.output<typeof envelope>;

const leak = z.object({ id: eventId.optional(), environment: text(256), secret: text(512), reason: text(500) });

/** AWS CloudTrail User Guide, 'CloudTrail record contents'. */
const call = z.object({
  eventName: text(100),
  errorCode: z.string().optional(),
  userIdentity: z.object({ arn: text(500).optional(), invokedBy: text(200).optional(), type: text(100).optional() }),
  requestParameters: z.object({ secretId: text(2_048).optional(), keyId: text(2_048).optional() }).nullish(),
});

/** AWS KMS Developer Guide, 'Monitor KMS keys with Amazon EventBridge'. */
const kmsRotation = z.object({ 'key-id': text(200) });

/** Amazon GuardDuty User Guide, 'Finding format'. */
const finding = z.object({
  id: eventId,
  type: text(200),
  resource: z.object({
    accessKeyDetails: z.object({ userName: text(64).optional(), userType: text(50).optional() }).optional(),
  }),
});

const SECRET_CALLS = ['PutSecretValue', 'UpdateSecret', 'DeleteSecret', 'RotateSecret'];
const KEY_CALLS: Record<string, KmsKeyChange> = {
  DisableKey: 'disabled',
  ScheduleKeyDeletion: 'scheduled for deletion',
};
/** The kinds of findings about a user's access keys in strange hands (Amazon GuardDuty User Guide, 'IAM finding types'). */
const CREDENTIAL_FINDING = /^(UnauthorizedAccess|CredentialAccess|Exfiltration):IAMUser\//;

/** Reads the body of a message: an event of EventBridge, or `{environment, secret, reason}` by itself. Never throws. */
export function readEvent(body: string): ReadEvent | NotAnEvent {
  const bytes = Buffer.byteLength(body);
  if (bytes > MOST_BYTES)
    return { left: `it has ${bytes} bytes, and no event that is read here has more than ${MOST_BYTES}` };
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return { left: 'it is not JSON' };
  }
  const event = envelope.safeParse(json);
  if (event.success) return readEnvelope(event.data);
  return readLeak(json, undefined);
}

function readEnvelope(event: Envelope): ReadEvent | NotAnEvent {
  const { id, source, 'detail-type': type, time: at, detail } = event;
  if (type === 'keyturn.leak') return readLeak(detail, id);
  if (source === 'aws.guardduty') return readFinding(detail);
  if (source === 'aws.kms' && type === 'KMS CMK Rotation') {
    const rotated = kmsRotation.safeParse(detail);
    if (!rotated.success) return unlike('a rotation of a KMS key', rotated.error);
    return kmsKeyEvent({ id, keyId: rotated.data['key-id'], change: 'rotated', at });
  }
  if (type === 'AWS API Call via CloudTrail' && (source === 'aws.kms' || source === 'aws.secretsmanager')) {
    return readCall(detail, { id, source, at });
  }
  return { ignored: `nothing is done about '${type}' of ${source}` };
}

function readLeak(json: unknown, id: string | undefined): ReadEvent | NotAnEvent {
  const told = leak.safeParse(json);
  if (!told.success) return unlike('an event of EventBridge, nor {environment, secret, reason}', told.error);
  const { environment, secret, reason } = told.data;
  return { id: told.data.id ?? id, kind: 'leak', environment, secret, reason };
}

function readFinding(detail: unknown): ReadEvent | NotAnEvent {
  const found = finding.safeParse(detail);
  if (!found.success) return unlike('a finding of GuardDuty', found.error);
  const { id, type, resource } = found.data;
  const { userName, userType } = resource.accessKeyDetails ?? {};
  if (!CREDENTIAL_FINDING.test(type))
    return { ignored: `the finding ${type} is not about credentials in strange hands` };
  if (userType !== 'IAMUser' || userName === undefined) {
    return { ignored: `the finding ${type} is not about the keys of an IAM user` };
  }
  // GuardDuty sends a finding again when it goes on; the finding's own ID stays the same.
  return { id, kind: 'user-finding', userName, finding: `GuardDuty finding ${type}, ${id}` };
}

function readCall(detail: unknown, about: Pick<Envelope, 'id' | 'source'> & { at: string }): ReadEvent | NotAnEvent {
  const made = call.safeParse(detail);
  if (!made.success) return unlike('a record of CloudTrail', made.error);
  const { eventName, errorCode, userIdentity, requestParameters } = made.data;
  const by = userIdentity.arn ?? userIdentity.invokedBy ?? userIdentity.type ?? 'somebody';
  const { id, source, at } = about;
  if (errorCode !== undefined) return { ignored: `${eventName} was refused by AWS (${errorCode})` };
  if (source === 'aws.secretsmanager' && SECRET_CALLS.includes(eventName)) {
    const secretId = requestParameters?.secretId;
    if (secretId === undefined) return { left: `the record of ${eventName} names no secret` };
    return { id, kind: 'secret-call', secretId, operation: eventName, by, at };
  }
  const change = source === 'aws.kms' && Object.hasOwn(KEY_CALLS, eventName) ? KEY_CALLS[eventName] : undefined;
  if (change === undefined) return { ignored: `nothing is done about ${eventName}` };
  const key = requestParameters?.keyId;
  if (key === undefined) return { left: `the record of ${eventName} names no key` };
  return kmsKeyEvent({ id, keyId: key, change, by, at });
}

/** KMS API Reference, DisableKey and ScheduleKeyDeletion: KeyId is an ID or an ARN, never an alias. */
function kmsKeyEvent(about: {
  id: string;
  keyId: string;
  change: KmsKeyChange;
  by?: string;
  at: string;
}): ReadEvent | NotAnEvent {
  const keyId = about.keyId.slice(about.keyId.lastIndexOf('/') + 1);
  if (!KMS_KEY_ID.test(keyId)) return { left: 'the key that it names is none that KMS makes' };
  return { ...about, kind: 'kms-key', keyId };
}

/** Names the places, and never what stands there. */
function unlike(what: string, { issues }: z.ZodError): NotAnEvent {
  const places = [...new Set(issues.map(({ path }) => path.join('.') || 'the whole'))].slice(0, 5);
  return { left: `it is not ${what} (${places.join(', ')})` };
}
