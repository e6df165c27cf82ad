import type { Context } from '@temporalio/activity';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import type { StepInput } from '../../src/activities/step-input';
import { runWorker } from '../../src/worker';
import { PAUSES_DIRECTORY, standStillAt } from './pauses';

/** The real worker, with an interceptor around every activity that stands still where a test says. */
const standingStill: ActivityInterceptorsFactory = (context) => ({
  inbound: {
    async execute(input, next) {
      const directory = process.env[PAUSES_DIRECTORY];
      const { secretId, step } = (input.args[0] ?? {}) as Partial<StepInput>;
      if (!directory || !secretId || !step) return next(input);
      const here = { secretId, step, activity: context.info.activityType };
      const stopHeartbeats = keepAlive(context);
      try {
        await standStillAt(directory, { ...here, when: 'before' });
        const result = await next(input);
        await standStillAt(directory, { ...here, when: 'after' });
        return result;
      } finally {
        stopHeartbeats();
      }
    },
  },
});

/** Standing still is slow, not dead: the server must not give the activity to another worker. */
function keepAlive(context: Context): () => void {
  if (context.info.isLocal) return () => undefined;
  const timer = setInterval(() => context.heartbeat(), 1_000);
  return () => clearInterval(timer);
}

runWorker([standingStill]);
