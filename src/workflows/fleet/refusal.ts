import type { ApplicationFailure } from '@temporalio/workflow';
import type { FleetInput } from '../../rotation/fleet';
import { causeOf } from '../saga/failures';
import { isOfCatalog, tellOfCatalog, tellOfRefusal, tellsOfRefusals } from '../saga/refusals';
import { fleetRefused } from './admission';
import { FleetCalls } from './calls';

/** Ends a fleet that could not begin: it is counted, and people are told. */
export async function refuseFleet(input: FleetInput, error: unknown): Promise<ApplicationFailure> {
  const { environment, due, dryRun, emergency } = input;
  const failure = fleetRefused(environment, error);
  if (dryRun || !tellsOfRefusals()) return failure;
  await new FleetCalls(input, () => undefined).recordRefusal();
  const cause = causeOf(error);
  if (isOfCatalog(cause) && !emergency) await tellOfCatalog(input, cause);
  else
    await tellOfRefusal(
      input,
      failure.message,
      `keyturn rotate ${environment} --all${due ? ' --due' : ''}${emergency ? ' --emergency' : ''}`,
    );
  return failure;
}
