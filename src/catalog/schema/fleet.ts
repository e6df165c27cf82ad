import { z } from 'zod';

const count = (most: number, description: string) => z.int().min(1).max(most).optional().describe(description);

/** How fast an environment is rotated as a whole, and when that gives up. */
export const fleet = z
  .strictObject({
    concurrency: count(100, 'How many rotations run at once; 10 when absent'),
    perTarget: count(
      100,
      'How many rotations run at once on one target system, such as a database server; 5 when absent',
    ),
    maxRestartsAtOnce: count(
      1_000,
      'How many workloads and ECS services the rotations under way restart at once; 10 when absent',
    ),
    stopAfterFailures: count(
      1_000,
      'After so many failures in a row, on one target system or over all, no further rotation is started there; 5 when absent',
    ),
  })
  .describe('How keyturn rotate --all goes through this environment');
