import type { Wire, WireRequest } from './wire';

const METHODS = /^(GET|POST|PUT|DELETE|PATCH|OPTIONS) /;

/** HTTP/1.1 with one request at a time on a connection, as the AWS SDK speaks it. */
export function httpWire(): Wire {
  let request = Buffer.alloc(0);
  let answer = Buffer.alloc(0);
  return {
    requests: (bytes) => {
      request = Buffer.concat([request, bytes]);
      const complete: WireRequest[] = [];
      for (let end = messageEnd(request); end !== undefined; end = messageEnd(request)) {
        complete.push({ bytes: request.subarray(0, end), matchable: true });
        request = request.subarray(end);
        answer = Buffer.alloc(0);
      }
      return complete;
    },
    answerIsComplete: (bytes) => {
      answer = Buffer.concat([answer, bytes]);
      // An answer without a length ends with its connection, which the proxy sees for itself.
      const hasLength = /\r\n(content-length|transfer-encoding):/i.test(head(answer) ?? '');
      return hasLength && messageEnd(answer) !== undefined;
    },
  };
}

export function looksLikeHttp(bytes: Buffer): boolean {
  return METHODS.test(bytes.subarray(0, 8).toString('latin1'));
}

/** Where the first message of the buffer ends, `undefined` while it is incomplete. A message without a length has no body. */
function messageEnd(buffer: Buffer): number | undefined {
  const headers = head(buffer);
  if (headers === undefined) return undefined;
  if (/\r\ntransfer-encoding:[^\r]*chunked/i.test(headers)) return chunkedEnd(buffer, headers.length);
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(headers)?.[1] ?? 0);
  const end = headers.length + length;
  return buffer.length >= end ? end : undefined;
}

function head(buffer: Buffer): string | undefined {
  const end = buffer.indexOf('\r\n\r\n');
  return end === -1 ? undefined : buffer.subarray(0, end + 4).toString('latin1');
}

/** RFC 9112, section 7.1. Trailers are not expected. */
function chunkedEnd(buffer: Buffer, start: number): number | undefined {
  for (let at = start; ;) {
    const lineEnd = buffer.indexOf('\r\n', at);
    if (lineEnd === -1) return undefined;
    const size = parseInt(buffer.subarray(at, lineEnd).toString('latin1'), 16);
    at = lineEnd + 2 + size + 2;
    if (buffer.length < at) return undefined;
    if (size === 0) return at;
  }
}
