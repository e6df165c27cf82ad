import { httpWire } from '../lab/wire-http';
import type { FaultProxy } from '../lab/fault-proxy';
import type { TappedConnection } from './wire-tap';

/** One HTTP request to Secrets Manager. */
export interface AwsRequest {
  /** Such as `PutSecretValue`. */
  operation: string;
  body: Record<string, unknown>;
  /** The same for all attempts that the SDK makes of one call. */
  invocation: string;
  /** The SDK's own count, from 1. */
  attempt: number;
}

/** Reads a request as the AWS SDK sends it (AWS JSON 1.1). */
export function awsRequest(bytes: Buffer): AwsRequest {
  const text = bytes.toString('utf8');
  const header = (name: string) => new RegExp(`\\r\\n${name}: *([^\\r]*)`, 'i').exec(text)?.[1] ?? '';
  const body = text.slice(text.indexOf('\r\n\r\n') + 4);
  return {
    operation: header('x-amz-target').split('.')[1] ?? '',
    body: (body ? JSON.parse(body) : {}) as Record<string, unknown>,
    invocation: header('amz-sdk-invocation-id'),
    attempt: Number(/attempt=(\d+)/.exec(header('amz-sdk-request'))?.[1] ?? 1),
  };
}

/** Every request on tapped connections, by connection. */
export function awsRequests(connections: TappedConnection[]): AwsRequest[] {
  return connections.flatMap(({ sent }) =>
    httpWire()
      .requests(sent)
      .map(({ bytes }) => awsRequest(bytes)),
  );
}

/** A lost answer, as seen afterwards. */
export interface LostAnswer {
  /** The call whose answer was lost; absent when there was no such call. */
  call?: AwsRequest;
}

/**
 * Loses answers of Secrets Manager to one call. The SDK tries a call three times: with fewer attempts lost it hears of the last one;
 * with three the activity fails and is tried again.
 *
 * @param which picks the call, told how many other calls were made since; its later attempts are the same call.
 */
export function loseAwsAnswer(
  proxy: FaultProxy,
  which: (request: AwsRequest, callsBefore: number) => boolean,
  attempts: number,
): LostAnswer {
  const lost: LostAnswer = {};
  const calls: string[] = [];
  proxy.cutAfterAnswer((bytes) => {
    const request = awsRequest(bytes);
    if (!calls.includes(request.invocation)) {
      if (!lost.call && which(request, calls.length)) lost.call = request;
      calls.push(request.invocation);
    }
    return lost.call?.invocation === request.invocation && request.attempt <= attempts;
  }, attempts);
  return lost;
}
