import { Cause } from '../../rotation/errors';
import { KMS_KEY_CHANGES } from '../../rotation/events';
import type { KeyturnEvent } from '../../rotation/events';
import { causeOf, refuse, rotationRefused } from '../saga/failures';

const TEXTS: Record<KeyturnEvent['kind'], readonly string[]> = {
  leak: ['environment', 'secret', 'reason'],
  'foreign-change': ['environment', 'secret', 'operation', 'by', 'at'],
  'kms-key': ['keyId', 'change', 'at'],
};
const MAX_TEXT = 1_000;

/** Inputs also come by hand, from `temporal workflow start` and the web UI. @throws RotationRefused for a malformed one. */
export function checkEvent(event: KeyturnEvent): void {
  try {
    check(event);
  } catch (error) {
    throw rotationRefused('the event', { step: '', cause: causeOf(error) });
  }
}

function check(event: KeyturnEvent): void {
  const bad = (why: string) =>
    refuse(
      Cause.BadInput,
      `${why}; nothing was started. Expected for example {"kind": "leak", "environment": "dev", "secret": "database/app", "reason": "seen in a log", "rotate": true}.`,
    );
  if (typeof event !== 'object' || event === null || Array.isArray(event))
    throw bad('the input is not one JSON object');
  if (!Object.hasOwn(TEXTS, event.kind))
    throw bad(`the input's field kind is none of ${Object.keys(TEXTS).join(', ')}`);
  const fields = event as unknown as Record<string, unknown>;
  for (const name of [...TEXTS[event.kind], ...(fields['by'] === undefined ? [] : ['by'])]) {
    const value = fields[name];
    if (typeof value !== 'string' || value.length === 0 || value.length > MAX_TEXT) {
      throw bad(`the input's field ${name} is ${value === undefined ? 'missing' : 'not a text of reasonable length'}`);
    }
  }
  if (event.kind === 'leak' && typeof event.rotate !== 'boolean') {
    throw bad("the input's field rotate is not true or false");
  }
  if (event.kind === 'kms-key' && !KMS_KEY_CHANGES.includes(event.change)) {
    throw bad(`the input's field change is none of ${KMS_KEY_CHANGES.join(', ')}`);
  }
}
