import { setTimeout as delay } from 'node:timers/promises';
import type { ServerResponse } from 'node:http';

/** An answer that is given in place of the real one. */
export interface OddAnswer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

type Fault =
  { kind: 'lose' } | { kind: 'slow'; ms: number } | { kind: 'answer'; answer: OddAnswer; tookEffect: boolean };

/** What goes wrong at a service, by route such as `POST /keys/:id/deactivate`. Each fault is for the next `times` requests. */
export interface FakeKeyServiceFaults {
  /** The request takes effect, and its connection breaks before the answer. */
  loseAnswers(route: string, times?: number): void;
  /** The request takes effect at once and is answered late. */
  slowAnswers(route: string, ms: number, times?: number): void;
  /** Nothing takes effect and this is answered. */
  answerWith(route: string, answer: OddAnswer, times?: number): void;
  /** The request takes effect and this is answered, as by a gateway that has lost patience. */
  answerAfterEffectWith(route: string, answer: OddAnswer, times?: number): void;
  /** Ends all faults that are left. */
  endFaults(): void;
}

/** One request's way to its answer. */
export interface FaultyResponse {
  /** Whether the request may take effect. */
  takesEffect: boolean;
  send(response: ServerResponse, answer: OddAnswer): Promise<void>;
}

export function createFaults(stopping: AbortSignal): {
  faults: FakeKeyServiceFaults;
  next(route: string): FaultyResponse;
} {
  let waiting: { route: string; fault: Fault }[] = [];
  const add = (route: string, fault: Fault, times = 1) =>
    waiting.push(...Array.from({ length: times }, () => ({ route, fault })));

  return {
    faults: {
      loseAnswers: (route, times) => void add(route, { kind: 'lose' }, times),
      slowAnswers: (route, ms, times) => void add(route, { kind: 'slow', ms }, times),
      answerWith: (route, answer, times) => void add(route, { kind: 'answer', answer, tookEffect: false }, times),
      answerAfterEffectWith: (route, answer, times) =>
        void add(route, { kind: 'answer', answer, tookEffect: true }, times),
      endFaults() {
        waiting = [];
      },
    },

    next(route) {
      const index = waiting.findIndex((candidate) => candidate.route === route);
      const fault = index === -1 ? undefined : waiting.splice(index, 1)[0]?.fault;
      return {
        takesEffect: fault?.kind !== 'answer' || fault.tookEffect,
        async send(response, answer) {
          if (fault?.kind === 'lose') {
            response.destroy();
            return;
          }
          if (fault?.kind === 'slow') await delay(fault.ms, undefined, { signal: stopping });
          const { status, headers, body } = fault?.kind === 'answer' ? fault.answer : answer;
          response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
        },
      };
    },
  };
}
