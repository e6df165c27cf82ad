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

/** A call whose answers were lost, as seen afterwards; absent when none was the one that was meant. */
export interface LostAnswers {
  call?: AwsRequest;
}

/**
 * Loses answers of Secrets Manager to one call. The SDK tries a call three times: with fewer attempts lost it hears of the last one;
 * with three the step has to be tried again.
 *
 * @param which picks the call; asked once for each, by its first attempt, until it says yes.
 */
export function loseAwsAnswers(
  proxy: FaultProxy,
  which: (request: AwsRequest) => boolean,
  attempts: number,
): LostAnswers {
  const lost: LostAnswers = {};
  proxy.cutAfterAnswer((bytes) => {
    const request = awsRequest(bytes);
    if (!lost.call && request.attempt === 1 && which(request)) lost.call = request;
    return lost.call?.invocation === request.invocation;
  }, attempts);
  return lost;
}

/** A call in words: `UpdateSecretVersionStage AWSCURRENT`. */
export function callName({ operation, body }: AwsRequest): string {
  return [operation, body['VersionStage']].filter(Boolean).join(' ');
}
