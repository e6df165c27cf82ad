import type { EventSettings, KeyturnEvent } from '../../rotation/events';
import { secretIdOf } from '../../rotation/names';
import type { SecretType } from '../../rotation/names';
import type { RotationPlan } from '../../rotation/plan';
import { redact } from '../log-redaction';
import { isSameCaller } from './own-identity';
import type { NotAnEvent, ReadEvent } from './reading';

/** The catalog as it is asked whether an event concerns it. */
export interface HeedingCatalog {
  events(): EventSettings | undefined;
  secrets(): { environment: string; secret: string; secretId: string; type: SecretType }[];
  plan(environment: string, secret: string): RotationPlan;
}

/**
 * Says what an event means to the secrets of the catalog.
 *
 * @param ownArn asked only where it matters whether the worker itself made a call.
 * @throws what `ownArn` throws.
 */
export async function decide(
  event: ReadEvent,
  catalog: HeedingCatalog,
  ownArn: () => Promise<string>,
): Promise<KeyturnEvent | NotAnEvent> {
  const rotate = catalog.events()?.leak === 'rotate';
  switch (event.kind) {
    case 'leak': {
      const { environment, secret, reason } = event;
      const secretId = secretIdOf(environment, secret);
      if (!catalog.secrets().some((declared) => declared.secretId === secretId && declared.secret === secret)) {
        return { left: 'it names a secret that the catalog does not declare' };
      }
      // Whoever reports a leak may quote what leaked.
      return { kind: 'leak', environment, secret, reason: String(redact(reason)), rotate };
    }
    case 'secret-call': {
      const names = secretNames(event.secretId);
      const found = catalog.secrets().find(({ secretId }) => names.includes(secretId));
      if (!found) return { ignored: 'the catalog does not declare the secret' };
      if (isSameCaller(event.by, await ownArn())) return { ignored: 'Keyturn itself did it' };
      const { environment, secret } = found;
      const { operation, by, at } = event;
      return { kind: 'foreign-change', environment, secret, operation, by, at };
    }
    case 'user-finding': {
      const found = catalog.secrets().find((declared) => userOf(declared, catalog) === event.userName);
      if (!found) return { ignored: `the catalog declares no key of the IAM user ${event.userName}` };
      return { kind: 'leak', environment: found.environment, secret: found.secret, reason: event.finding, rotate };
    }
    case 'kms-key': {
      const { keyId, change, by, at } = event;
      return { kind: 'kms-key', keyId, change, at, ...(by !== undefined && { by }) };
    }
  }
}

/** What a name or ARN may stand for: an ARN ends with a hyphen and six characters, unless its writer left them out. */
function secretNames(written: string): string[] {
  const [, name = written] = /^arn:aws[\w-]*:secretsmanager:[^:]*:\d*:secret:(.+)$/.exec(written) ?? [];
  return [name, name.replace(/-[A-Za-z0-9]{6}$/, '')];
}

function userOf(
  { environment, secret, type }: { environment: string; secret: string; type: SecretType },
  catalog: HeedingCatalog,
): string | undefined {
  if (type !== 'api-key') return undefined;
  const plan = catalog.plan(environment, secret);
  return plan.type === 'api-key' && plan.provider.name === 'aws-iam' ? plan.provider.userName : undefined;
}
