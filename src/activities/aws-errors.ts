/** What an error of the AWS SDK says, whatever the service. */
export type AwsAnswer = 'throttled' | 'not-permitted' | 'refused' | 'unanswered';

const THROTTLED = new Set([
  'ThrottlingException',
  'ThrottledException',
  'Throttling',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'KmsThrottled',
  'SlowDown',
]);
const NOT_PERMITTED = new Set([
  'AccessDeniedException',
  'AccessDenied',
  'Forbidden',
  'KmsAccessDenied',
  'UnrecognizedClientException',
  'InvalidClientTokenId',
  'InvalidAccessKeyId',
  'InvalidSecurity',
  'InvalidSignatureException',
  'SignatureDoesNotMatch',
]);
/** Passes although its status is 4xx: credentials are being renewed. */
const EXPIRED = new Set(['ExpiredTokenException', 'ExpiredToken', 'RequestExpired']);

/** The SDK's name of an error, or of anything else that was thrown. */
export function errorNameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

export function httpStatusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;
}

/**
 * Whether AWS refuses for good (`not-permitted`, `refused`), or may do it another time (`throttled`, `unanswered`). A 4xx of no other
 * meaning is an answer, and would be the same again (AWS: 'Common errors').
 */
export function awsAnswerOf(error: unknown): AwsAnswer {
  const name = errorNameOf(error);
  const status = httpStatusOf(error);
  if (EXPIRED.has(name)) return 'unanswered';
  if (THROTTLED.has(name) || status === 429) return 'throttled';
  if (NOT_PERMITTED.has(name) || status === 403) return 'not-permitted';
  return status !== undefined && status >= 400 && status < 500 ? 'refused' : 'unanswered';
}
