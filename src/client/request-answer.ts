import type { RequestAccepted } from '../rotation/types';
import type { Answer } from './shell';

/** What an operator is told after a running rotation took a request. */
export function requestAnswer(secretId: string, accepted: RequestAccepted): Answer {
  const until = accepted.graceEndsAt ? `\nGrace period until ${accepted.graceEndsAt}.` : '';
  return {
    result: { secretId, ...accepted },
    text: `${secretId}: ${accepted.accepted}${until}\nFollow it: keyturn status ${secretId} --follow`,
  };
}
