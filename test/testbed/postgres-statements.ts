import type { TappedConnection } from './wire-tap';

/** ReadyForQuery outside of a transaction: a role that may not log in gets as far as AuthenticationOk, but not here. */
const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

/** One connection to PostgreSQL as seen from outside, without TLS. */
export interface SeenSession {
  login: 'opened' | 'refused';
  /** The text of every statement, in order. */
  statements: string[];
}

/** What passed over tapped connections, in words: https://www.postgresql.org/docs/18/protocol-message-formats.html */
export function seenSessions(connections: TappedConnection[]): SeenSession[] {
  return connections.map(({ sent, answered }) => ({
    login: answered.includes(READY) ? 'opened' : 'refused',
    statements: [...statementsOf(sent)],
  }));
}

/** The first message has no type; the others are a type byte, a length that counts itself, and the rest. */
function* statementsOf(sent: Buffer): Generator<string> {
  if (sent.length < 4) return;
  for (let at = sent.readUInt32BE(0); at + 5 <= sent.length;) {
    const type = String.fromCharCode(sent.readUInt8(at));
    const end = at + 1 + sent.readUInt32BE(at + 1);
    const [first = '', second = ''] = sent.toString('utf8', at + 5, end).split('\0');
    if (type === 'Q') yield first;
    // Parse: the name of the prepared statement, which is mostly empty, comes before its text.
    if (type === 'P') yield second;
    at = end;
  }
}
