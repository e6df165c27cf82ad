/** What a fault proxy has to know of a protocol, for one connection. */
export interface Wire {
  /** Takes bytes of the client; returns the requests that are complete now, to be sent on in this order. */
  requests(bytes: Buffer): WireRequest[];
  /** Takes all bytes of the server as they come; whether the answer to the last request has just become complete. */
  answerIsComplete(bytes: Buffer): boolean;
}

export interface WireRequest {
  bytes: Buffer;
  /** Whether it has an answer of its own whose end can be seen. */
  matchable: boolean;
}

/** A protocol that the proxy does not know passes through. */
export function opaqueWire(): Wire {
  return { requests: (bytes) => [{ bytes, matchable: false }], answerIsComplete: () => false };
}
