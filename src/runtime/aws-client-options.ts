/**
 * How AWS clients wait. Region, endpoint and credentials come from the SDK's own chain. Retries here only bridge a lost
 * packet or a short throttle; the real waiting is Temporal's, where operators see it. A request that never ends would
 * hold its step until the step's timeout.
 */
export const AWS_CLIENT_OPTIONS = {
  maxAttempts: 3,
  requestHandler: {
    /** Milliseconds. */
    connectionTimeout: 2_000,
    requestTimeout: 5_000,
    /** Without it the SDK only prints a warning when a request takes too long. */
    throwOnRequestTimeout: true,
  },
};

/**
 * The same for S3, where one object may take longer than other answers. Local endpoints know no host names for buckets.
 *
 * @param env names such an endpoint as `AWS_ENDPOINT_URL` or `AWS_ENDPOINT_URL_S3`.
 */
export function s3ClientOptions(env: NodeJS.ProcessEnv) {
  return {
    ...AWS_CLIENT_OPTIONS,
    requestHandler: { ...AWS_CLIENT_OPTIONS.requestHandler, requestTimeout: 60_000 },
    forcePathStyle: Boolean(env['AWS_ENDPOINT_URL'] ?? env['AWS_ENDPOINT_URL_S3']),
  };
}
