import { z } from 'zod';
import { duration, healthUrl, line, oneOf } from '../values';
import { onlyOneOf } from './choice';
import { kubernetes } from './kubernetes';

const http = z
  .strictObject({
    name: line('What the workload is called in messages'),
    healthUrl,
    expectStatus: z
      .int()
      .min(100)
      .max(599)
      .default(200)
      .describe('The HTTP status that means healthy; 200 when absent'),
    timeout: duration('How long the workload may take to become healthy; 1 minute when absent').default(60_000),
  })
  .describe('A workload whose health is checked over HTTP');

/** A name or an ARN (ECS API Reference, 'CreateCluster' and 'CreateService'). */
function ecsName(kind: 'cluster' | 'service', description: string) {
  const arn = `arn:[\\w-]+:ecs:[\\w-]+:\\d{12}:${kind}(/[\\w-]{1,255}){1,2}`;
  return z
    .string()
    .regex(
      new RegExp(`^([\\w-]{1,255}|${arn})$`),
      `is not the name of an ECS ${kind}: at most 255 letters, digits, hyphens and underscores are allowed, or its ARN`,
    )
    .describe(description);
}

const ecs = z
  .strictObject({
    name: line('What the dependent is called in messages; the name of the cluster when absent').optional(),
    cluster: ecsName('cluster', 'The name or ARN of the ECS cluster'),
    services: z
      .array(ecsName('service', 'The name or ARN of a service'))
      .min(1, 'must name at least one service')
      .describe('The services of the cluster whose tasks read the secret when they start'),
    timeout: duration('How long the new deployment of one service may take; 10 minutes when absent').default(600_000),
  })
  .describe('Services of Amazon ECS, which get a new deployment with the same task definition');

/** One entry of a secret's list. */
export const dependent = z.strictObject({
  http: http.optional(),
  kubernetes: kubernetes.optional(),
  ecs: ecs.optional(),
});

export const dependents = z
  .array(
    dependent.meta({ minProperties: 1, maxProperties: 1 }).transform((written, context) => {
      const { http, kubernetes, ecs } = written;
      const given = [
        ...(http ? [{ kind: 'http' as const, ...http }] : []),
        ...(kubernetes ? [{ kind: 'kubernetes' as const, ...kubernetes }] : []),
        ...(ecs ? [{ kind: 'ecs' as const, ...ecs }] : []),
      ];
      return onlyOneOf(given, written, dependent.shape, context);
    }),
  )
  .default([])
  .describe('Workloads that must be seen working with the new version');

export const delivery = z
  .strictObject({
    order: oneOf(['parallel', 'in-order'])
      .default('parallel')
      .describe(
        'parallel brings a new version to all dependents at once, in-order to one after another as they are listed, and both take it back from all at once; parallel when absent',
      ),
    maxRestartsAtOnce: z
      .int()
      .min(1)
      .max(100)
      .default(10)
      .describe(
        'How many workloads and ECS services are restarted at once, in each cluster while they are taken back; 10 when absent',
      ),
  })
  .describe(
    'How a new version is brought to several Kubernetes and ECS dependents; their health over HTTP is asked last',
  );

export const DEPENDENT_MAPPINGS = { http, kubernetes, ecs };
export type DependentData = z.output<typeof dependents>[number];
export type DeliveryData = z.output<typeof delivery>;
