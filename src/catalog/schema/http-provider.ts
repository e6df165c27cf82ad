import { z } from 'zod';
import type { HttpCall } from '../../rotation/plan';
import { headerName, jsonPointer, jsonText } from '../http-values';
import { duration, oneOf, secretName } from '../values';

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const satisfies readonly HttpCall['method'][];

/** One HTTP request; `url`, `headers` and `body` are templates. */
function call(method: HttpCall['method'], names: string) {
  return {
    method: oneOf(METHODS).default(method).describe(`${method} when absent`),
    url: z
      .string()
      .describe(`Where to ask, starting with http:// or https:// and a host written out; may name ${names} in {{ }}`),
    headers: z
      .record(headerName, z.string())
      .default({})
      .describe(
        `The request's headers; may name ${names} in {{ }}. Tokens and passwords belong into adminSecret, never into the catalog`,
      ),
    body: jsonText.optional().describe(`What is sent, as JSON; may name ${names} in {{ }} inside its texts`),
  };
}

const ADMIN = 'admin.FIELD';

const statuses = z.array(z.int().min(100).max(599)).min(1, 'must name at least one status');

const withoutAnswer = z.strictObject(call('POST', `key.id and ${ADMIN}`));

const create = z.strictObject({
  ...call('POST', `label and ${ADMIN}`),
  id: jsonPointer("Where the answer holds the key's public ID, as a JSON pointer such as /data/id"),
  value: jsonPointer("Where the answer holds the key's value, as a JSON pointer such as /data/secret"),
});

const verify = z.strictObject({
  ...call('GET', `key.id, key.value and ${ADMIN}`),
  accepted: statuses.default([200]).describe('The HTTP statuses that mean that the key works; 200 when absent'),
  refused: statuses
    .default([401, 403])
    .describe('The HTTP statuses that mean that the key is refused; 401 and 403 when absent. Any other proves nothing'),
});

const list = z.strictObject({
  ...call('GET', ADMIN),
  keys: jsonPointer(
    'Where the answer holds the list of keys, as a JSON pointer; "" when the whole answer is the list',
    {
      wholeAnswer: true,
    },
  ),
  id: jsonPointer("Where one of the list's keys holds its public ID"),
  label: jsonPointer('Where it holds the name that it was created with').optional(),
  createdAt: jsonPointer('Where it holds the time at which it was created').optional(),
  lastUsedAt: jsonPointer('Where it holds the time at which it was last used').optional(),
  active: jsonPointer('Where it says, as true or false, whether it works').optional(),
});

/** Any REST service that issues keys, described by its requests. */
export const httpProvider = z.strictObject({
  name: z.literal('http'),
  adminSecret: secretName
    .optional()
    .describe(
      'The name, in the same environment, of the JSON secret whose fields the requests name as {{admin.FIELD}}; every token and password belongs there',
    ),
  requestTimeout: duration('How long one answer may take; 10 seconds when absent').default(10_000),
  settle: duration(
    'How long a new or revoked key may take to be known everywhere; 30 seconds when absent',
    true,
  ).default(30_000),
  idempotencyHeader: headerName
    .optional()
    .describe('The header in which the service takes an idempotency key, such as Idempotency-Key'),
  create: create.describe('The request that issues a key'),
  verify: verify.describe('The request that a key is tried with'),
  list: list.describe('The request that lists all keys'),
  deactivate: withoutAnswer
    .optional()
    .describe('The request that switches a key off in a way that can be taken back, where the service has one'),
  reactivate: withoutAnswer.optional().describe('The request that switches a key on again'),
  delete: z.strictObject(call('DELETE', `key.id and ${ADMIN}`)).describe('The request that ends a key for good'),
});

export type HttpProviderData = z.output<typeof httpProvider>;

/** The requests of an HTTP provider, by their keys in the catalog. */
export const HTTP_CALLS = {
  create,
  verify,
  list,
  deactivate: withoutAnswer,
  reactivate: withoutAnswer,
  delete: httpProvider.shape.delete,
};
