import { oldestFirst } from '../../rotation/ages';
import type { SecretAgeEntry } from '../../rotation/ages';
import { secretIdOf } from '../../rotation/names';
import type { ReviewCoverage } from '../../rotation/review';
import { activitiesFor } from '../saga/activities';

/** How long Secrets Manager is asked for one page. */
const LOOK_MS = 15 * 60_000;

/** Who asks, and of which environment. */
export interface Looking {
  environment: string;
  requestedBy?: string;
  reason?: string;
}

/**
 * How old the secrets below an environment's name are, oldest first, also those that the catalog does not declare.
 *
 * @param of `limitMs` holds for all instead of the catalog's; with `covers`, only those that such a review is of.
 * @param onAuditDown called with true when auditing is found down, and with false when it works again.
 */
export async function lookAtAll(
  { environment, requestedBy, reason }: Looking,
  of: { limitMs?: number | undefined; covers?: ReviewCoverage },
  onAuditDown: (down: boolean) => void = () => undefined,
): Promise<SecretAgeEntry[]> {
  const { write } = activitiesFor({
    subject: { secretId: secretIdOf(environment, '*'), requestedBy, reason },
    step: 'lookAtAges',
    summary: `see how old the secrets of ${environment} are`,
    limitMs: LOOK_MS,
    onAuditDown,
  });
  const found = new Map<string, SecretAgeEntry>();
  for (const declared of await write.listDeclared({ environment, ...of })) found.set(declared.secret, declared);
  let from: string | undefined;
  do {
    const page: Awaited<ReturnType<typeof write.lookAtAges>> = await write.lookAtAges({ environment, ...of, from });
    for (const listed of page.secrets) found.set(listed.secret, listed);
    from = page.next;
  } while (from !== undefined);
  return oldestFirst([...found.values()]);
}
