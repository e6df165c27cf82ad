import { DefaultFailureConverter } from '@temporalio/common';

/**
 * Moves failure messages and stack traces into a payload, so that the payload codec encrypts them too. Temporal loads
 * it by path: in the worker and clients from here, in the workflow sandbox from the bundle that src/runtime/bundle.ts
 * makes with it.
 */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
