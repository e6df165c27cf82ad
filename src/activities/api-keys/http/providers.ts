import { Cause } from '../../../rotation/errors';
import type { HttpCall, HttpProviderPlan } from '../../../rotation/plan';
import type { HttpOperation } from '../../../rotation/templates';
import { outsideCall, protect } from '../../boundary/activity-scope';
import { circuitBreakerFor } from '../../circuit-breaker';
import { failure } from '../../failures';
import type { ApiKeyFacts, ApiKeyProvider, ApiKeyRequest } from '../provider';
import { createdKeyOf, listedKeysOf } from './answers';
import { exchange } from './exchange';
import type { HttpAnswer } from './exchange';
import { isFinalRefusal, isGone, isOutOfReach, isSuccess, provesNothing, refusalOf, stillPaused } from './refusals';
import { IDEMPOTENCY_KEY, identifyCall, requestOf } from './request';
import type { CallIdentity, GivenValues } from './request';

/** Every HTTP provider can list and delete; the rest is as the catalog declares it. */
export type HttpKeyProvider = ApiKeyProvider & Required<Pick<ApiKeyProvider, 'list' | 'delete'>>;

/** Opens providers of API keys that are described in the catalog. Those of one service share its circuit breaker. */
export interface HttpKeyProviders {
  /**
   * @param admin the fields of the administrator's secret; `{}` when the plan names none.
   * @param about Secrets Manager's name of the secret that is rotated, for messages.
   */
  open(plan: HttpProviderPlan, admin: Readonly<Record<string, unknown>>, about: string): HttpKeyProvider;
}

/** What all who use one service share. */
interface Service {
  guarded: ReturnType<typeof circuitBreakerFor>;
  /** Until when it asked to be left alone, in milliseconds since the epoch. */
  pausedUntil: number;
}

interface Answered {
  answer: HttpAnswer;
  identity: CallIdentity;
}

export function createHttpKeyProviders(): HttpKeyProviders {
  const services = new Map<string, Service>();

  function serviceAt(origin: string): Service {
    let service = services.get(origin);
    if (!service) {
      service = { guarded: circuitBreakerFor(origin), pausedUntil: 0 };
      services.set(origin, service);
    }
    return service;
  }

  return {
    open(plan, admin, about) {
      for (const value of Object.values(admin)) if (typeof value === 'string') protect(value);

      async function ask(
        operation: HttpOperation,
        call: HttpCall,
        given: GivenValues,
        needsText = false,
      ): Promise<Answered> {
        const identity = identifyCall(operation, call, about, plan.adminSecretId);
        const request = requestOf(call, identity, given, admin);
        const service = serviceAt(identity.origin);
        const pauseMs = service.pausedUntil - Date.now();
        if (pauseMs > 0) throw stillPaused(pauseMs, identity);
        const answer = await service.guarded(async () => {
          const received = await outsideCall(
            'http',
            `${call.method} ${operation}`,
            () => exchange(request, identity, plan.requestTimeoutMs, needsText),
            (result) => (isSuccess(result) ? 'ok' : `HTTP ${result.status}`),
          );
          if (received.retryAfterMs !== undefined) service.pausedUntil = Date.now() + received.retryAfterMs;
          if (isOutOfReach(received)) throw refusalOf(received, identity);
          return received;
        });
        return { answer, identity };
      }

      function askToCreate({ label, idempotencyKey }: ApiKeyRequest): Promise<Answered> {
        const { create, idempotencyHeader } = plan;
        const recognised = idempotencyHeader && { [idempotencyHeader]: `{{${IDEMPOTENCY_KEY}}}` };
        const call = { ...create, headers: { ...create.headers, ...recognised } };
        return ask('create', call, { label, [IDEMPOTENCY_KEY]: idempotencyKey }, true);
      }

      async function list(): Promise<ApiKeyFacts[]> {
        const { answer, identity } = await ask('list', plan.list, {}, true);
        if (!isSuccess(answer)) throw refusalOf(answer, identity);
        return listedKeysOf(answer, plan.list, identity);
      }

      /** 'Not found' may also come from an address that is none: a key that is still listed as active is not gone. */
      async function end(operation: 'deactivate' | 'delete', call: HttpCall, id: string): Promise<void> {
        const { answer, identity } = await ask(operation, call, { 'key.id': id });
        if (isSuccess(answer)) return;
        if (!isGone(answer)) throw refusalOf(answer, identity);
        if ((await list()).some((key) => key.id === id && key.active)) {
          throw failure(
            Cause.TargetUnavailable,
            `${identity.origin} answered the ${operation} call of ${about} with ${answer.status}, but lists the key ${id} as active; it is tried again. If that goes on, correct the ${operation} call's url in the catalog.`,
          );
        }
      }

      const { deactivate, reactivate, idempotencyHeader } = plan;
      return {
        settleMs: plan.settleMs,

        async create(request) {
          const { answer, identity } = await askToCreate(request);
          if (!isSuccess(answer)) throw refusalOf(answer, identity);
          return createdKeyOf(answer, plan.create, identity);
        },

        ...(idempotencyHeader !== undefined && {
          async recover(request, found) {
            if (!found) return undefined;
            const { answer, identity } = await askToCreate(request);
            if (isFinalRefusal(answer)) return undefined;
            if (!isSuccess(answer)) throw refusalOf(answer, identity);
            const key = createdKeyOf(answer, plan.create, identity);
            if (key.id === found.id) return key;
            // The service does not know the first answer any more, and has issued another key.
            await end('delete', plan.delete, key.id);
            return undefined;
          },
        }),

        async verify({ id, value }) {
          protect(value);
          const { answer, identity } = await ask('verify', plan.verify, { 'key.id': id, 'key.value': value });
          if (plan.verify.accepted.includes(answer.status)) return 'accepted';
          if (plan.verify.refused.includes(answer.status)) return 'refused';
          throw provesNothing(answer, identity);
        },

        list,

        ...(plan.list.lastUsedAtPointer !== undefined && {
          lastUsed: async (id: string) => (await list()).find((key) => key.id === id)?.lastUsedAt,
        }),

        ...(deactivate && { deactivate: (id: string) => end('deactivate', deactivate, id) }),

        ...(reactivate && {
          async reactivate(id: string) {
            const { answer, identity } = await ask('reactivate', reactivate, { 'key.id': id });
            if (!isSuccess(answer)) throw refusalOf(answer, identity);
          },
        }),

        delete: (id) => end('delete', plan.delete, id),
      } satisfies HttpKeyProvider;
    },
  };
}
