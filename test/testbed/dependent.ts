import { startLoopbackServer } from '../lab/loopback-server';

/** A workload that uses a secret, with a health address. */
export interface TestDependent {
  /** For `dependents` in the catalog. */
  declaration: Record<string, unknown>;
  /** The origin of its health address, as messages show it. */
  origin: string;
  /** How often its health was asked for. */
  readonly asked: number;
  /** What it answers from now on, or what says so at each request. */
  answer(status: number | (() => Promise<number>)): void;
  stop(): Promise<void>;
}

/** @param timeout how long it may take to become healthy, as the catalog says it. */
export async function startDependent(name: string, timeout = '2 seconds'): Promise<TestDependent> {
  let asked = 0;
  let answer: number | (() => Promise<number>) = 200;
  const { origin, stop } = await startLoopbackServer((_request, response) => {
    asked += 1;
    const status = typeof answer === 'number' ? Promise.resolve(answer) : answer();
    status.then(
      (code) => response.writeHead(code).end(),
      () => response.destroy(),
    );
  });
  return {
    declaration: { http: { name, healthUrl: `${origin}/healthz`, timeout } },
    origin,
    get asked() {
      return asked;
    },
    answer(next) {
      answer = next;
    },
    stop,
  };
}
