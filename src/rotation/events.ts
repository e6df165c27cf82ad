/** What events from outside mean to Keyturn; the worker's queue is where they come from. Names and times only, never a value. */

/** The workflow type that acts on one event. */
export const EVENT_WORKFLOW = 'handleEvent';

/** Who asks, in everything that an event brings about. */
export const EVENT_REQUESTER = 'event';

/** What is done when a secret is said to have leaked. */
export const LEAK_POLICIES = ['rotate', 'notify'] as const;
export type LeakPolicy = (typeof LEAK_POLICIES)[number];

/** What the catalog says of events. */
export interface EventSettings {
  queueUrl: string;
  leak: LeakPolicy;
}

/** A declared secret is said to have leaked. */
export interface LeakEvent {
  kind: 'leak';
  environment: string;
  secret: string;
  /** Who says so and where it was seen, in the sender's words. */
  reason: string;
  /** Whether it is rotated as an emergency; otherwise people are told and nothing is done. */
  rotate: boolean;
}

/** Somebody other than Keyturn changed a declared secret, or asked for that. */
export interface ForeignChangeEvent {
  kind: 'foreign-change';
  environment: string;
  secret: string;
  /** In the words of AWS, such as `PutSecretValue`. */
  operation: string;
  /** The ARN of who did it. */
  by: string;
  /** ISO 8601. */
  at: string;
}

export const KMS_KEY_CHANGES = ['rotated', 'disabled', 'scheduled for deletion'] as const;
export type KmsKeyChange = (typeof KMS_KEY_CHANGES)[number];

/** Something happened to a KMS key. Whose it is turns out only when it is looked for. */
export interface KmsKeyEvent {
  kind: 'kms-key';
  /** The key's ID. */
  keyId: string;
  change: KmsKeyChange;
  /** The ARN of who did it; KMS itself when absent. */
  by?: string;
  /** ISO 8601. */
  at: string;
}

/** The one argument of the workflow `handleEvent`. */
export type KeyturnEvent = LeakEvent | ForeignChangeEvent | KmsKeyEvent;

/** What one environment uses a KMS key for. */
export interface KmsKeyUse {
  environment: string;
  /** The names of the declared secrets that it encrypts. */
  secrets: string[];
  /** Whether the environment's backups are encrypted under it. */
  backups: boolean;
}

/** What became of an event. */
export interface EventResult {
  /** `rotated-meanwhile`: another rotation that began after the event had done it; `nothing-affected`: no declared secret uses the key. */
  outcome: 'rotated' | 'rotated-meanwhile' | 'told' | 'nothing-affected';
}

/**
 * The workflow ID under which an event is acted on. The same event has the same one however often it is delivered, and each is taken once.
 *
 * @param id of the event itself, as its sender gave it.
 */
export function eventWorkflowId(event: KeyturnEvent, id: string): string {
  const about = event.kind === 'kms-key' ? `kms/${event.keyId}` : `${event.environment}/${event.secret}`;
  return `event/${event.kind}/${about}/${id}`;
}
