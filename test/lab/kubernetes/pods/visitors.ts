import { get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { ApplicationAnswer } from './application';

const VISITORS = 2;
const PAUSE_MS = 20;
const ANSWERED_WITHIN_MS = 10_000;

/** What an application was asked and answered so far. */
export interface Visits {
  requests: number;
  /** Why requests failed; each counts, none is tried again. */
  failures: string[];
  /** The logins that the database saw, in the order in which they came up. */
  users: string[];
  /** The login of the last answer. */
  lastUser?: string;
  /** The pods that answered. */
  pods: Set<string>;
}

export interface Visitors {
  visits: Visits;
  stop(): Promise<void>;
}

/** Asks an application all the time, each request on a connection of its own. */
export function startVisitors(url: string): Visitors {
  const visits: Visits = { requests: 0, failures: [], users: [], pods: new Set() };
  let stopping = false;
  const visit = async (): Promise<void> => {
    while (!stopping) {
      visits.requests += 1;
      try {
        const { pod, user } = await ask(url);
        visits.pods.add(pod);
        if (!visits.users.includes(user)) visits.users.push(user);
        visits.lastUser = user;
      } catch (error) {
        visits.failures.push(error instanceof Error ? error.message : String(error));
      }
      await delay(PAUSE_MS);
    }
  };
  const visiting = Promise.all(Array.from({ length: VISITORS }, visit));
  return {
    visits,
    async stop() {
      stopping = true;
      await visiting;
    },
  };
}

/** @throws Error when the application cannot be reached, or does not answer 200. */
async function ask(url: string): Promise<ApplicationAnswer> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(ANSWERED_WITHIN_MS);
    const request = get(url, { agent: false, signal }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (response.statusCode === 200) resolve(JSON.parse(text) as ApplicationAnswer);
        else reject(new Error(`${response.statusCode}: ${text.trim()}`));
      });
    });
    request.on('error', reject);
  });
}
