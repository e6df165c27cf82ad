import { randomBytes, randomUUID } from 'node:crypto';
import { PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { CreateQueueCommand, DeleteQueueCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { RotationResult } from '../../src/rotation/types';
import { createApiKey, keyDocument } from './api-keys';
import { startFakeKeyService } from './fake-key-service';
import type { FakeKeyService } from './fake-key-service';
import { startFakeSellingPartnerApi } from './fake-selling-partner-api';
import type { Expectations, Stage } from './leak-scenarios';
import { inPhase } from './watching';

/** The same for API keys, whose providers say values in their answers and quote in their errors what they were sent. */
export function apiKeyLeakScenarios(
  { bed, used, canary }: Stage & { canary(): string },
  { rotates, fails, whileAt }: Expectations,
): Record<string, () => Promise<void>> {
  /** Acts on a key of a service, all of whose values are looked for afterwards. */
  const withKey =
    (secret: string, act: (service: FakeKeyService, key: { id: string }) => Promise<unknown>, declaration = {}) =>
    async () => {
      const service = await startFakeKeyService();
      used(service.adminToken);
      try {
        const timeouts = { stepTimeout: '6 seconds', rollbackTimeout: '6 seconds' };
        const key = await createApiKey(bed, service, secret, {
          ...timeouts,
          gracePeriod: '1 second',
          quietPeriod: '1 second',
          ...declaration,
        });
        await act(service, key);
      } finally {
        service.everyValue().forEach(used);
        await service.stop();
      }
    };

  /** An answer to a request for a key that says a value where it does no good. */
  const oddAnswer = (secret: string, expected: string, answerWith: (value: string) => object | string) =>
    withKey(secret, async (service) => {
      const value = canary();
      used(value);
      const body = answerWith(value);
      service.answerWith(
        'POST /keys',
        { status: 201, body: typeof body === 'string' ? body : JSON.stringify(body) },
        1_000,
      );
      await fails(expected, bed.rotate(secret));
    });

  return {
    'replaces an API key, as a rehearsal, and for good': withKey('key', async () => {
      await rotates('key', { dryRun: true });
      await rotates('key');
      await fails('RotationRefused NothingToRollBackTo', bed.rotate('key', {}, 'rollbackSecret'));
    }),
    'replaces a leaked API key': withKey('key-leaked', async (service, { id }) => {
      service.remove(id);
      await fails('RotationRefused CurrentCredentialRefused', bed.rotate('key-leaked'));
      await rotates('key-leaked', { emergency: true });
    }),
    'is steered and aborted while two API keys work': withKey(
      'key-steered',
      async () => {
        const handle = await bed.start('key-steered');
        await inPhase(handle, 'grace-period');
        await handle.executeUpdate('setPhaseIn', { args: [{ percent: 50, requestedBy: 'night shift' }] });
        await handle.signal('extendGracePeriod', { by: '1 hour', reason: 'a release' });
        await handle.executeUpdate('abort', { args: [{ reason: 'wrong key', requestedBy: 'night shift' }] });
        const { outcome } = (await handle.result()) as RotationResult;
        if (outcome !== 'aborted') throw new Error(`it ended ${outcome}`);
      },
      { gracePeriod: '1 hour' },
    ),
    'finds an API key and a secondary secret that a terminated one left': withKey('key-terminated', async () => {
      const handle = await whileAt('key-terminated', { step: 'createKey', when: 'after' }, async () => {
        await bed.client.workflow.getHandle(`rotation/${bed.secrets.idOf('key-terminated')}`).terminate('planned');
      });
      await handle.result().catch(() => undefined);
      await rotates('key-terminated');
    }),
    'loses the answer that says an API key': withKey(
      'key-lost',
      async (service) => {
        service.loseAnswers('POST /keys', 2);
        await rotates('key-lost');
      },
      // Three tries, on a machine that is busy with the other scenarios.
      { stepTimeout: '30 seconds' },
    ),
    'is refused by a provider that quotes the key': withKey('key-refused', async (service, { id }) => {
      await fetch(`${service.url}/keys/${id}/deactivate`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${service.adminToken}` },
      });
      await fails('RotationRefused CurrentCredentialRefused', bed.rotate('key-refused'));
    }),
    "is refused by a provider that quotes the administrator's token": withKey('key-no-admin', async () => {
      const token = randomBytes(18).toString('base64url');
      used(token);
      const SecretId = bed.secrets.idOf('key-no-admin-admin');
      await bed.secretsManager.send(new PutSecretValueCommand({ SecretId, SecretString: JSON.stringify({ token }) }));
      await fails('RotationRefused PermissionDenied', bed.rotate('key-no-admin'));
    }),
    'is sent elsewhere, with the key in the address': withKey('key-moved', async (service) => {
      const Location = `${service.url}/whoami?key=${encodeURIComponent(service.everyValue()[0] ?? '')}`;
      service.answerWith('GET /whoami', { status: 302, headers: { Location } }, 1_000);
      await fails('RotationRefused TargetUnavailable', bed.rotate('key-moved'));
    }),
    'is told off with the key in every header': withKey('key-told-off', async (service) => {
      const value = service.everyValue()[0] ?? '';
      const headers = { 'X-Key': value, 'Retry-After': '1', Link: `<${service.url}?key=${value}>; rel="next"` };
      service.answerWith('POST /keys', { status: 500, headers, body: value }, 1_000);
      await fails('RotationRolledBack TargetUnavailable', bed.rotate('key-told-off'));
    }),
    'is given half an API key': oddAnswer(
      'key-half',
      'RotationRolledBack CatalogInvalid',
      (value) => `{"data": {"id": "key_1", "secret": ${JSON.stringify(value)}`,
    ),
    'is given an API key where its ID belongs': oddAnswer(
      'key-as-id',
      'RotationRolledBack CatalogInvalid',
      (value) => ({ data: { id: value, secret: value } }),
    ),
    'is given an API key somewhere else': oddAnswer('key-elsewhere', 'RotationRolledBack CatalogInvalid', (value) => ({
      data: { id: 'key_1', [value]: value, other: value },
    })),
    'cannot delete the API key that it made': withKey('key-undeletable', async (service) => {
      service.answerWith('DELETE /keys/:id', { status: 403 }, 1_000);
      const handle = await whileAt('key-undeletable', { step: 'verifyKey', when: 'before' }, async () => {
        const { keyId } = (await keyDocument(bed, 'key-undeletable')) ?? {};
        service.remove(service.keys().find(({ id }) => id !== keyId)?.id ?? '');
        service.issue('of somebody else');
      });
      await fails('RollbackIncomplete CandidateRefused', handle.result());
    }),
    'takes an API key out of a message queue': async () => {
      const secret = 'key-in-a-message';
      const [clientId, clientSecret] = [`amzn1.application-oa2-client.${randomUUID()}`, randomUUID()];
      const sqs = new SQSClient({});
      const { QueueUrl: queueUrl = '' } = await sqs.send(
        new CreateQueueCommand({ QueueName: `keyturn-${randomUUID()}` }),
      );
      const amazon = await startFakeSellingPartnerApi({ sqs, queueUrl, clientId, clientSecret });
      Object.assign(amazon.behaviour, { betweenSecretsMs: 0, oldSecretLifeMs: 3_000, loseAnswers: 1 });
      try {
        await bed.secrets.create(secret, JSON.stringify({ clientId, clientSecret }));
        const { endpoint, tokenUrl } = amazon;
        await bed.declare({
          [secret]: {
            type: 'api-key',
            provider: { name: 'amazon-sp-api', clientId, queueUrl, endpoint, tokenUrl },
            gracePeriod: '1 hour',
          },
        });
        await rotates(secret);
      } finally {
        amazon.everyValue().forEach(used);
        await amazon.stop();
        await sqs.send(new DeleteQueueCommand({ QueueUrl: queueUrl }));
        sqs.destroy();
      }
    },
  };
}
