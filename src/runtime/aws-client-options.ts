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
