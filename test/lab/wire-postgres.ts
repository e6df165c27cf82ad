import type { Wire, WireRequest } from './wire';

/** Codes in place of the protocol version: https://www.postgresql.org/docs/18/protocol-message-formats.html */
const SSL_REQUEST = 80877103;
const GSSENC_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;

/** After these the client waits for an answer that ends with ReadyForQuery: Query, and Sync of the extended protocol. */
const ENDS_WITH_READY = new Set(['Q', 'S']);
/** Messages of the extended protocol that belong to the Sync after them: Parse, Bind, Describe, Execute, Close. */
const WAITS_FOR_SYNC = new Set(['P', 'B', 'D', 'E', 'C']);

/**
 * PostgreSQL's protocol, version 3. A request is a Query, or all from Parse to Sync, so its bytes hold the SQL text. Its answer is
 * complete with ReadyForQuery: then the statement has taken effect, or has failed. Under TLS nothing is seen.
 */
export function postgresWire(): Wire {
  let fromClient = Buffer.alloc(0);
  let fromServer = Buffer.alloc(0);
  let phase: 'startup' | 'asked-for-encryption' | 'open' | 'opaque' = 'startup';

  const takeStartup = (): WireRequest[] => {
    if (fromClient.length < 8 || fromClient.length < fromClient.readUInt32BE(0)) return [];
    const code = fromClient.readUInt32BE(4);
    const bytes = fromClient.subarray(0, fromClient.readUInt32BE(0));
    fromClient = fromClient.subarray(bytes.length);
    if (code === SSL_REQUEST || code === GSSENC_REQUEST) phase = 'asked-for-encryption';
    else phase = code === CANCEL_REQUEST ? 'opaque' : 'open';
    return [{ bytes, matchable: false }];
  };

  const takeMessages = (): WireRequest[] => {
    const complete: WireRequest[] = [];
    let at = 0;
    for (let next = messageAt(fromClient, at); next !== undefined; next = messageAt(fromClient, at)) {
      at = next.end;
      if (WAITS_FOR_SYNC.has(next.type)) continue;
      complete.push({ bytes: fromClient.subarray(0, at), matchable: ENDS_WITH_READY.has(next.type) });
      fromClient = fromClient.subarray(at);
      at = 0;
    }
    return complete;
  };

  return {
    requests: (bytes) => {
      if (phase === 'opaque') return [{ bytes, matchable: false }];
      fromClient = Buffer.concat([fromClient, bytes]);
      const startup = phase === 'open' ? [] : takeStartup();
      return phase === 'open' ? [...startup, ...takeMessages()] : startup;
    },
    answerIsComplete: (bytes) => {
      if (phase === 'opaque') return false;
      if (phase === 'asked-for-encryption') {
        phase = bytes.toString('latin1') === 'N' ? 'startup' : 'opaque';
        return false;
      }
      fromServer = Buffer.concat([fromServer, bytes]);
      let ready = false;
      for (let next = messageAt(fromServer, 0); next !== undefined; next = messageAt(fromServer, 0)) {
        ready ||= next.type === 'Z';
        fromServer = fromServer.subarray(next.end);
      }
      return ready;
    },
  };
}

export function looksLikePostgres(bytes: Buffer): boolean {
  return bytes[0] === 0;
}

/** A message is a type byte, a length that counts itself, and the rest. */
function messageAt(buffer: Buffer, at: number): { type: string; end: number } | undefined {
  if (buffer.length < at + 5) return undefined;
  const end = at + 1 + buffer.readUInt32BE(at + 1);
  return buffer.length < end ? undefined : { type: String.fromCharCode(buffer.readUInt8(at)), end };
}
