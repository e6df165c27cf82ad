import { setTimeout as sleep } from 'node:timers/promises';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { Cause } from '../../../rotation/errors';
import type { AmazonSpApiProviderPlan } from '../../../rotation/plan';
import { protect } from '../../boundary/activity-scope';
import { failure } from '../../failures';
import type { ApiKeyProvider, ApiKeyRequest, CreatedApiKey } from '../provider';
import { currentAttempt } from './current-attempt';
import { requestToken } from './login-with-amazon';
import { PATIENCE, untilNextRequest } from './patience';
import type { Patience } from './patience';
import { lookIntoQueue } from './secret-queue';
import type { Answer, Look } from './secret-queue';
import { rotateApplicationClientSecret } from './selling-partner-api';

/** Amazon does not say how long a new or expired secret takes to be known everywhere; this is on the safe side. */
const SETTLE_MS = 60_000;
/** How far Amazon's clock may be behind the one that `since` was read from. Two requests are at least that far apart. */
const CLOCKS_DIFFER_MS = 60_000;
/** How long SQS may hold an answer back while the queue is empty, in seconds. */
const LONG_POLL_S = 10;
/** Between two looks into a queue that holds others' messages; it doubles. */
const PAUSE_MS = { first: 2_000, longest: 10_000 };
const RETRY_MS = { soonest: 1_000, latest: 30_000 };

/**
 * Client secrets of an Amazon Selling Partner application, as Login with Amazon accepts them.
 *
 * Secrets have no ID at Amazon; the time at which one expires, ISO 8601, stands in for it. They cannot be listed, switched off
 * or deleted, they only expire: a new one after 180 days, and the one that it replaces 7 days after the request, whatever becomes of
 * the rotation. `create` returns that time as `replacedExpiresAt`.
 * Source: SP-API documentation, Rotate your application's client secret.
 *
 * `create` looks into the queue before it asks for a secret, and asks only by the rule of {@link untilNextRequest}. `recover`, called first
 * on every attempt, finds the secret of an earlier one in the queue, where it stays until `stored` is called.
 *
 * @param current `clientSecret` is the value of AWSCURRENT, which asks for its own replacement.
 * @param about the secret's name in Secrets Manager, for messages.
 */
export function createAmazonSpApiProvider(
  plan: AmazonSpApiProviderPlan,
  current: { clientSecret: string },
  sqs: SQSClient,
  about: string,
  patience: Patience = PATIENCE,
): ApiKeyProvider {
  const { clientId, queueUrl, endpoint, tokenUrl } = plan;
  const currentSecret = protect(current.clientSecret);

  function look(request: ApiKeyRequest, waitSeconds: number): Promise<Look> {
    const sinceMs = Date.parse(request.since) - CLOCKS_DIFFER_MS;
    return lookIntoQueue(sqs, queueUrl, { clientId, sinceMs, currentSecret }, waitSeconds);
  }

  /** Looks until there is an answer or the time is over. */
  async function waitForAnswer(request: ApiKeyRequest, untilMs: number): Promise<Look> {
    for (let pause = PAUSE_MS.first; ; pause = Math.min(2 * pause, PAUSE_MS.longest)) {
      const seconds = Math.floor((untilMs - Date.now()) / 1_000);
      const seen = await look(request, Math.min(Math.max(seconds, 1), LONG_POLL_S));
      const leftMs = untilMs - Date.now();
      if (seen.answer || leftMs <= 0) return seen;
      // Others' messages end every wait at once, and each receipt brings them nearer to the dead-letter queue.
      if (seen.left > 0) await sleep(Math.min(pause, leftMs), undefined, { signal: currentAttempt().cancelled });
    }
  }

  /** @returns how Amazon answered. */
  async function askForSecret(): Promise<string> {
    const accessToken = await requestToken({ tokenUrl, clientId, clientSecret: currentSecret, about });
    if (accessToken === undefined) {
      throw failure(
        Cause.CurrentCredentialRefused,
        `Login with Amazon refuses the client secret in AWSCURRENT of ${about}. Nothing was changed. It has expired, or was changed in ` +
          'the Developer Console: put the one that is shown there into the secret, and rotate again.',
      );
    }
    return rotateApplicationClientSecret({ endpoint, accessToken, about });
  }

  function notYet(happened: string, seen: Look, retryAfterMs: number): Error {
    return failure(
      Cause.NotYetVisible,
      [
        `Waiting for the notification APPLICATION_OAUTH_CLIENT_NEW_SECRET with the new client secret of ${about} in ${queueUrl}. ${happened}`,
        seen.olderFrom &&
          `The queue holds a new secret of this application from ${seen.olderFrom}, which is no answer to this request and was left there.`,
        seen.malformed > 0 && `${seen.malformed} messages in the queue could not be read and were left there.`,
        'If a secret was made, the current one works for 7 days from then. Check in the Developer Console that this queue is registered as the',
        "destination of 'Application Client New Secret', and that the queue's access policy and KMS key let Amazon's account 437568002678 send to it.",
      ]
        .filter(Boolean)
        .join(' '),
      Math.min(Math.max(retryAfterMs, RETRY_MS.soonest), RETRY_MS.latest),
    );
  }

  return {
    settleMs: SETTLE_MS,

    async create(request) {
      const endsAt = Date.now() + patience.attemptMs;
      const first = await look(request, 1);
      if (first.answer) return createdFrom(first.answer);

      const sinceMs = Date.parse(request.since);
      const waitMs = untilNextRequest(sinceMs, Date.now(), currentAttempt().number, patience);
      if (waitMs > 0) {
        const nextRequestMs = Date.now() + waitMs;
        const seen = await waitForAnswer(request, Math.min(endsAt, nextRequestMs));
        if (seen.answer) return createdFrom(seen.answer);
        throw notYet(
          `An earlier attempt may have asked for it. If it does not come, it is asked for anew at ${new Date(nextRequestMs).toISOString()}.`,
          seen,
          nextRequestMs - Date.now(),
        );
      }

      const answered = await askForSecret();
      const seen = await waitForAnswer(request, endsAt);
      if (seen.answer) return createdFrom(seen.answer);
      throw notYet(`Amazon was asked for it, with the answer: ${answered}.`, seen, RETRY_MS.soonest);
    },

    async recover(request) {
      const seen = await look(request, 1);
      return seen.answer && createdFrom(seen.answer);
    },

    async verify({ value }) {
      const accessToken = await requestToken({ tokenUrl, clientId, clientSecret: value, about });
      return accessToken === undefined ? 'refused' : 'accepted';
    },
  };
}

function createdFrom({ secret, remove }: Answer): CreatedApiKey {
  return {
    id: secret.newClientSecretExpiryTime,
    value: secret.newClientSecret,
    replacedExpiresAt: secret.oldClientSecretExpiryTime,
    stored: remove,
  };
}
