import { startFaultProxy } from '../lab/fault-proxy';
import { startWireTap } from './wire-tap';
import type { TappedConnection, WireTap } from './wire-tap';

/** AuthenticationOk: https://www.postgresql.org/docs/18/protocol-message-formats.html */
const AUTHENTICATION_OK = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0]);

/** How a server answers a login without TLS: SQLSTATE 28P01 is a wrong password, 28000 a role that may not log in. */
function loginAnswer(answer: Buffer): 'opened' | 'refused' | undefined {
  if (answer.includes(AUTHENTICATION_OK)) return 'opened';
  return answer.includes('C28P01\0') || answer.includes('C28000\0') ? 'refused' : undefined;
}

/** How many logins a server refused, of those that the tap saw. */
export function refusedLogins(connections: TappedConnection[]): number {
  return connections.filter(({ answered }) => loginAnswer(answered) === 'refused').length;
}

/** An answer of PostgreSQL that was lost; absent when none was the one that was meant. */
export interface LostPostgresAnswer {
  request?: string;
}

/** PostgreSQL behind a tap behind a fault proxy, through which single answers get lost. */
export interface UnreliablePostgres {
  port: number;
  tap: WireTap;
  refuse(): Promise<void>;
  accept(): Promise<void>;
  /** Loses the answer to a login from now on, let in or refused, counted from 0. */
  loseLogin(nth: number): LostPostgresAnswer;
  /** Loses the answer to a statement from now on, after it took effect, counted from 0 among those that have the text. */
  loseStatement(nth: number, text?: string): LostPostgresAnswer;
  stop(): Promise<void>;
}

export async function startUnreliablePostgres(upstreamPort: number): Promise<UnreliablePostgres> {
  const tap = await startWireTap(upstreamPort);
  const proxy = await startFaultProxy(tap.port);
  return {
    port: proxy.port,
    tap,
    refuse: () => proxy.refuse(),
    accept: () => proxy.accept(),
    loseLogin(nth) {
      const lost: LostPostgresAnswer = {};
      let left = nth;
      tap.loseAnswer = (answer) => {
        const answered = loginAnswer(answer);
        if (!answered || left-- !== 0) return false;
        lost.request = `login, ${answered}`;
        return true;
      };
      return lost;
    },
    loseStatement(nth, text = '') {
      const lost: LostPostgresAnswer = {};
      let left = nth;
      tap.loseAnswer = undefined;
      proxy.cutAfterAnswer((bytes) => {
        if (!bytes.includes(text) || left-- !== 0) return false;
        lost.request = keywordsOf(bytes);
        return true;
      });
      return lost;
    },
    async stop() {
      await proxy.stop();
      await tap.stop();
    },
  };
}

/** What a statement is, without names and values. */
function keywordsOf(request: Buffer): string {
  return /(CREATE|ALTER) ROLE|SELECT|SET/.exec(request.toString('latin1'))?.[0] ?? 'other';
}
