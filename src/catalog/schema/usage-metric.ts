import { z } from 'zod';
import { duration, line } from '../values';

const MINUTE_MS = 60_000;
const DAY_MS = 1_440 * MINUTE_MS;

/** CloudWatch API Reference, PutMetricData, MetricDatum and Dimension. */
const LIMITS = { name: 255, value: 1_024, dimensions: 30 };

function nameOf(description: string) {
  return line(description)
    .max(LIMITS.name, `is longer than the ${LIMITS.name} characters that CloudWatch allows`)
    .refine((text) => !text.startsWith(':'), 'must not begin with a colon: CloudWatch does not allow it');
}

const dimensionValue = line('A text').max(
  LIMITS.value,
  `is longer than the ${LIMITS.value} characters that CloudWatch allows`,
);

/** A metric that counts the uses of a secret. */
export const usesMetric = z
  .strictObject({
    namespace: nameOf('The namespace, such as MyShop/Keys or AWS/ApiGateway'),
    metric: nameOf('The name of the metric; its Sum is how often the secret was used'),
    dimensions: z
      .record(nameOf('The name of a dimension'), dimensionValue)
      .refine(
        (dimensions) => Object.keys(dimensions).length <= LIMITS.dimensions,
        `has more than the ${LIMITS.dimensions} dimensions that CloudWatch allows`,
      )
      .optional()
      .describe('All dimensions that the metric is published with, by name; none when absent'),
    region: z
      .string()
      .regex(/^[a-z]{2}(-[a-z]+)+-\d+$/, 'is not an AWS region, such as eu-central-1')
      .optional()
      .describe("The AWS region that it is in; the worker's when absent"),
    period: duration('Uses are counted in whole periods of this; 15 minutes when absent')
      .refine(
        (period) => period % MINUTE_MS === 0 && DAY_MS % period === 0,
        'must be whole minutes of which a day is a multiple, such as 5 minutes, 1 hour or 1 day',
      )
      .optional(),
    settle: duration(
      'How long after the end of a period data of it may still come; a period is counted once, after that. 15 minutes when absent',
      true,
    )
      .refine((settle) => settle <= DAY_MS, 'is longer than a day')
      .optional(),
  })
  .describe('A metric of CloudWatch that counts the uses; uses that are reported are added to it');
