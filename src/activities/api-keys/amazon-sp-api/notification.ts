/**
 * What Amazon sends to the queue after a rotation.
 *
 * Source: SP-API documentation, Application Management API Use Case Guide (Get the latest client secret from your SQS queue): a JSON object
 * with notificationType, eventTime and payload.applicationOAuthClientNewSecret with the four fields of {@link NewSecret}.
 */
const NEW_SECRET = 'APPLICATION_OAUTH_CLIENT_NEW_SECRET';

export interface NewSecret {
  clientId: string;
  newClientSecret: string;
  /** ISO 8601, UTC; 180 days after the rotation. */
  newClientSecretExpiryTime: string;
  /** ISO 8601, UTC; 7 days after the rotation. */
  oldClientSecretExpiryTime: string;
  /** When the secret was made, in milliseconds since the epoch. */
  eventTimeMs: number;
}

/** `other` is a notification of another type, such as APPLICATION_OAUTH_CLIENT_SECRET_EXPIRY. */
export type NotificationContent = NewSecret | 'other' | 'malformed';

/** Reads a message's body. */
export function readNotification(body: string): NotificationContent {
  const message = objectIn(body);
  const type = message?.['notificationType'];
  if (!message || typeof type !== 'string') return 'malformed';
  if (type !== NEW_SECRET) return 'other';

  const payload = fieldOf(fieldOf(message, 'payload'), 'applicationOAuthClientNewSecret');
  const clientId = fieldOf(payload, 'clientId');
  const newClientSecret = fieldOf(payload, 'newClientSecret');
  const newExpiry = timeOf(fieldOf(payload, 'newClientSecretExpiryTime'));
  const oldExpiry = timeOf(fieldOf(payload, 'oldClientSecretExpiryTime'));
  const eventTimeMs = timeOf(message['eventTime']);
  if (
    typeof clientId !== 'string' ||
    typeof newClientSecret !== 'string' ||
    newClientSecret === '' ||
    newExpiry === undefined ||
    oldExpiry === undefined ||
    eventTimeMs === undefined
  ) {
    return 'malformed';
  }
  return {
    clientId,
    newClientSecret,
    newClientSecretExpiryTime: new Date(newExpiry).toISOString(),
    oldClientSecretExpiryTime: new Date(oldExpiry).toISOString(),
    eventTimeMs,
  };
}

function objectIn(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function fieldOf(from: unknown, field: string): unknown {
  return typeof from === 'object' && from !== null ? (from as Record<string, unknown>)[field] : undefined;
}

/** Only times with a zone: one without would be read as the worker's. */
function timeOf(value: unknown): number | undefined {
  if (typeof value !== 'string' || !/T.*(Z|[+-]\d{2}:?\d{2})$/.test(value)) return undefined;
  const time = Date.parse(value);
  return Number.isNaN(time) ? undefined : time;
}
