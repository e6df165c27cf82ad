import type { FleetPolicy } from '../rotation/fleet';
import type { EnvironmentData } from './schema';

const DEFAULTS: FleetPolicy = { concurrency: 10, perTarget: 5, maxRestartsAtOnce: 10, stopAfterFailures: 5 };

/** What the catalog says of an environment's fleet, with the defaults filled in. */
export function fleetPolicyOf({ fleet = {} }: EnvironmentData): FleetPolicy {
  return {
    concurrency: fleet.concurrency ?? DEFAULTS.concurrency,
    perTarget: fleet.perTarget ?? DEFAULTS.perTarget,
    maxRestartsAtOnce: fleet.maxRestartsAtOnce ?? DEFAULTS.maxRestartsAtOnce,
    stopAfterFailures: fleet.stopAfterFailures ?? DEFAULTS.stopAfterFailures,
  };
}
