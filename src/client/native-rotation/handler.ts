import { readConfig } from '../../runtime/config';
import type { Config } from '../../runtime/config';
import { connectTemporal } from '../../runtime/connect-temporal';
import type { TemporalConnection } from '../../runtime/connect-temporal';
import { explainTemporalFailure } from '../temporal-failures';
import { NativeRotation } from './native-rotation';
import { readStepRequest } from './request';

/** What is used of the context that AWS Lambda gives a function. */
export interface InvocationContext {
  /** How long until Lambda ends the invocation, in milliseconds. */
  getRemainingTimeInMillis(): number;
}

/** What an invocation keeps to say how far it got, and to answer, in milliseconds. */
const RESERVE_MS = 3_000;

/** Kept between invocations; one that could not be opened is opened anew. */
let kept: Promise<TemporalConnection> | undefined;

function connected(config: Config): Promise<TemporalConnection> {
  kept ??= connectTemporal(config).catch((error: unknown) => {
    kept = undefined;
    throw error;
  });
  return kept;
}

/**
 * The rotation function of Secrets Manager: `keyturn/dist/src/client/native-rotation/handler.handler`. Configured by the environment
 * as every client is (`TEMPORAL_ADDRESS` …, `KEYTURN_TASK_QUEUE`, `KEYTURN_PAYLOAD_KMS_KEY`). It needs no right to any secret, and
 * gives nothing back.
 *
 * @throws Error whose message says what happened, what was left as it is and what comes next, without any value.
 */
export async function handler(event: unknown, context: InvocationContext): Promise<void> {
  const deadline = Date.now() + context.getRemainingTimeInMillis() - RESERVE_MS;
  const request = readStepRequest(event);
  const config = readConfig(process.env);
  try {
    const { client } = await connected(config);
    await new NativeRotation(client, config.taskQueue).carryOut(request, deadline);
  } catch (error) {
    throw explainTemporalFailure(error, config.temporal);
  }
}

/** Closes the connection that invocations share. Lambda has no need of it: it freezes the function and ends it some time. */
export async function disconnect(): Promise<void> {
  const connection = await kept?.catch(() => undefined);
  kept = undefined;
  await connection?.close();
}
