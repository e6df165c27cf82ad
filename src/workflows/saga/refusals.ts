import { log } from '@temporalio/workflow';
import { Cause } from '../../rotation/errors';
import type { CauseDetails } from '../../rotation/errors';
import { EVENT_SEVERITY } from '../../rotation/notifications';
import { isInForce } from '../changes';
import { tellPeople } from './telling';

/** What was to be done, of which environment, and who asked for it. */
export interface Refused {
  environment: string;
  /** Absent when a whole environment is meant. */
  secret?: string;
  emergency?: boolean;
  requestedBy?: string;
  reason?: string;
}

/** Whether people are told of what could not begin, so that nobody else need do it. Runs that began before that was so go on as they were. */
export const tellsOfRefusals = () => isInForce('refusals-before-a-rotation-are-told');

/** Tells that something could not begin. @param next what to type then. @param of see {@link tellPeople}. */
export async function tellOfRefusal(refused: Refused, message: string, next: string, of?: string): Promise<void> {
  const { environment, secret, emergency, requestedBy, reason } = refused;
  const severity = emergency ? 'critical' : EVENT_SEVERITY.refused;
  const problem = await tellPeople(
    { environment, secret, event: 'refused', severity, message, next, requestedBy, reason },
    undefined,
    of,
  );
  if (problem !== undefined) log.error(`People could not be told of a refusal: ${problem}`);
}

/** Whether the catalog is why it is refused, as all others of the environment are then. */
export function isOfCatalog(cause: CauseDetails): boolean {
  return cause.type === Cause.CatalogInvalid;
}

/** Tells that the catalog cannot be used: once a day, and not for each of a thousand secrets. */
export async function tellOfCatalog({ environment, emergency }: Refused, cause: CauseDetails): Promise<void> {
  const message = `Nothing of ${environment} can be rotated, and no age is checked, until the catalog is corrected; nothing was changed. ${cause.message}`;
  const of = today(emergency ? 'catalog/emergency' : 'catalog');
  await tellOfRefusal({ environment, emergency }, message, `keyturn plan ${environment}`, of);
}

/** Whether others than its requester have to know: a malformed input was typed by somebody who sees the failure. */
export function concernsOthers(cause: CauseDetails): boolean {
  return cause.type !== Cause.BadInput && tellsOfRefusals();
}

/**
 * Tells that what a schedule does for a whole environment could not be done; once a day, since some are tried every hour.
 *
 * @param about `what` it is, for the notification's ID; what the `consequence` is, as a sentence without its full stop.
 */
export async function tellOfFailedLook(
  refused: Refused,
  cause: CauseDetails,
  { what, consequence, next }: { what: string; consequence: string; next: string },
): Promise<void> {
  if (isOfCatalog(cause)) return tellOfCatalog(refused, cause);
  await tellOfRefusal(refused, `${consequence}: ${cause.message}`, next, today(what));
}

function today(what: string): string {
  return `${what}/${new Date().toISOString().slice(0, 'YYYY-MM-DD'.length)}`;
}
