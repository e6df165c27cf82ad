import { createHash } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../../rotation/errors';
import type { BroughtBack, KubernetesDependent } from '../../../rotation/dependents';
import { failure } from '../../failures';
import type { Cluster } from './cluster';
import type { SecretObject } from './objects';
import { FIELD_MANAGER, SECRETS, called, changedTime, writtenAt } from './objects';
import { Refusal } from './refusals';
import type { ExpectedKeys } from './secret-digest';
import { whatIsMissing } from './secret-digest';
import { isUntouched } from './sync-result';
import type { SyncResult } from './sync-result';

const CONFLICT = 409;
/** Kubernetes' limit for a field manager's name. */
const LONGEST_MANAGER = 128;

/** What a push brings, and what it takes back. */
export interface Pushed {
  /** @throws SecretUnusable when the version lacks a mapped field. */
  expected(): ExpectedKeys;
  /** What the mapped keys hold of the version that is taken back: nothing when it could not be mapped; `undefined` when there is no such version. */
  undone(): Promise<ExpectedKeys | undefined>;
}

/**
 * Writes the mapped keys into a Kubernetes Secret by server-side apply, and leaves every other key to whom it belongs.
 *
 * @param back absent for a version that is new to the Secret. A Secret that is still as it was then is left so: what was refused there needs
 * no taking back, and would be refused again. Where another dependent has written into the same Secret since, its mapped keys tell that:
 * they hold nothing of the version that is taken back.
 * @throws NotSynced when somebody else manages one of the keys, or the API server refuses the Secret; SecretUnusable.
 */
export async function pushToSecret(
  cluster: Cluster,
  dependent: KubernetesDependent,
  { expected, undone }: Pushed,
  back?: BroughtBack,
): Promise<SyncResult> {
  const secret = secretOf(dependent);
  if (back?.resourceVersion !== undefined) {
    const before = await cluster.read<SecretObject>(secret, 'metadata');
    if (isUntouched(before, back)) return { untouched: true, came: false };
  }
  let keys: ExpectedKeys | undefined;
  let answer: SecretObject;
  try {
    keys = expected();
    answer = await write(cluster, dependent, keys);
  } catch (error) {
    if (back?.undoes === undefined || !isAnswer(error)) throw error;
    const gone = await undone();
    if (gone === undefined || holdsAnyOf(gone, await cluster.read<SecretObject>(secret), keys)) throw error;
    return { untouched: false, came: false };
  }
  const missing = whatIsMissing(answer, keys);
  if (missing === undefined) {
    // The keys of other dependents are written at other times.
    const manager = managerOf([...keys.keys()]);
    const changedAt = writtenAt(answer, ['data'], (by) => by === manager) ?? changedTime(answer);
    return { untouched: false, came: true, changedAt };
  }
  throw failure(
    Cause.NotSynced,
    `${called(secret)} in ${cluster.name} was written, and something changed it on the way: ${missing}. Look for an admission webhook.`,
  );
}

const secretOf = ({ namespace, secret: name }: KubernetesDependent) => ({ resource: SECRETS, namespace, name });

/** @throws NotSynced when it is refused; the Secret is then as it was. */
async function write(cluster: Cluster, dependent: KubernetesDependent, keys: ExpectedKeys): Promise<SecretObject> {
  const secret = secretOf(dependent);
  const { namespace, name } = secret;
  const data = Object.fromEntries([...keys].map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
  const applied = { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, data };
  const manager = managerOf([...keys.keys()]);
  const apply = (force: boolean) => cluster.patch<SecretObject>(secret, applied, { type: 'apply', manager, force });
  try {
    return await apply(false).catch(async (error: unknown) => {
      if (!(error instanceof Refusal) || error.status !== CONFLICT) throw error;
      const others = await othersWhoManage(cluster, dependent, manager);
      // Keyturn with other keys: the catalog's mapping was changed.
      if (others.length === 0) return apply(true);
      throw failure(
        Cause.NotSynced,
        `Somebody else manages keys of ${called(secret)} in ${cluster.name} that the catalog maps: ${others.join(', ')}. The Secret was left as it is. Let only one of them write each key, or have the dependent synced by that one (sync: external-secret).`,
      );
    });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw failure(
      Cause.NotSynced,
      `The API server of ${cluster.name} refuses the keys for ${called(secret)} with ${error.code}: ${error.message}. The Secret was left as it is.`,
    );
  }
}

/** Asked again it would be the same. */
function isAnswer(error: unknown): boolean {
  return error instanceof ApplicationFailure && (error.type === Cause.NotSynced || error.type === Cause.SecretUnusable);
}

/** @param wanted what it is right to hold, also where it is the same in both versions. */
function holdsAnyOf(gone: ExpectedKeys, held: SecretObject | undefined, wanted: ExpectedKeys | undefined): boolean {
  return [...gone].some(
    ([key, value]) => wanted?.get(key) !== value && whatIsMissing(held, new Map([[key, value]])) === undefined,
  );
}

/**
 * Server-side apply takes away what its manager applied before and leaves out now. Catalog entries that write different keys of one
 * Secret are therefore different managers.
 */
function managerOf(keys: string[]): string {
  const name = `${FIELD_MANAGER}:${keys.sort().join('+')}`;
  if (name.length <= LONGEST_MANAGER) return name;
  return `${FIELD_MANAGER}:${createHash('sha256').update(name).digest('hex')}`;
}

async function othersWhoManage(cluster: Cluster, dependent: KubernetesDependent, own: string): Promise<string[]> {
  const secret = await cluster.read<SecretObject>(secretOf(dependent), 'metadata');
  return (secret?.metadata.managedFields ?? [])
    .filter(({ manager = '', fieldsV1 }) => {
      const keys = Object.keys(fieldsV1?.['f:data'] ?? {});
      const shared = dependent.keys.some(({ key }) => keys.includes(`f:${key}`));
      return shared && manager !== own && manager.split(':')[0] !== FIELD_MANAGER;
    })
    .map(({ manager = 'unknown', fieldsV1 }) => {
      const keys = Object.keys(fieldsV1?.['f:data'] ?? {}).map((field) => field.slice(2));
      return `${manager} (${keys.filter((key) => dependent.keys.some((mapped) => mapped.key === key)).join(', ')})`;
    });
}
