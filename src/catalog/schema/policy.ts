import { z } from 'zod';
import { REVIEWS } from '../../rotation/review';
import { duration, line, oneOf } from '../values';
import { delivery, dependents } from './dependents';
import { schedule } from './schedule';
import { usesMetric } from './usage-metric';

/** What an environment says for all its secrets and each secret may say for itself. */
export const policyKeys = {
  maxAge: duration(
    'How old the secret may become before it is to be rotated; when absent 60 days in dev and 90 elsewhere, 180 for an app secret with jwt in its name, a year for an API key (180 days for an Amazon client secret)',
  ).optional(),
  review: oneOf(REVIEWS)
    .optional()
    .describe(
      'How often people are reminded to look at the secret and ask whether it is still needed, on the first Monday of the month, the quarter or the year, or every Monday; or off',
    ),
  stepTimeout: duration(
    'How long one step is retried before the rotation is rolled back; 15 minutes when absent',
  ).optional(),
  rollbackTimeout: duration(
    'How long one compensation is retried before it is reported as left to do by hand; 24 hours when absent',
  ).optional(),
};

/** What every secret may say, whatever its type. */
export const secretKeys = {
  description: line('What the secret is for').optional(),
  ...policyKeys,
  schedule: schedule.optional(),
  rotateAfterUses: z
    .int()
    .min(1)
    .max(1_000_000_000_000)
    .optional()
    .describe(
      'After so many uses of one version, as applications report them or usesMetric counts them, the secret is rotated',
    ),
  usesMetric: usesMetric.optional(),
  dependents,
  delivery: delivery.optional(),
};
