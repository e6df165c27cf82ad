import { createHash, timingSafeEqual } from 'node:crypto';
import { Cause } from '../../../rotation/errors';
import type { KubernetesDependent } from '../../../rotation/dependents';
import { protect } from '../../boundary/activity-scope';
import { failure } from '../../failures';
import { parseJsonSecret } from '../../secrets-manager/json-secret';
import { secretPartsOf } from '../../secrets-manager/secret-parts';
import type { SecretObject } from './objects';

/** What the mapped keys of a Kubernetes Secret must hold for a version. */
export type ExpectedKeys = ReadonlyMap<string, string>;

/**
 * What each mapped key holds when the version has arrived: the whole text, or a field of it. A field that is not a string is taken as
 * External Secrets Operator takes it: as it stands in the JSON.
 *
 * @throws SecretUnusable when the version is not JSON or lacks a field, CatalogInvalid when no key is mapped.
 */
export function expectedKeys(dependent: KubernetesDependent, versionId: string, text: string): ExpectedKeys {
  if (dependent.keys.length === 0) {
    throw failure(
      Cause.CatalogInvalid,
      `The catalog maps no key of the Kubernetes Secret ${dependent.secret}, so nothing would show that a version has arrived. Nothing was changed there. Name its keys.`,
    );
  }
  const where = `Version ${versionId} of the secret that ${dependent.name} uses`;
  let fields: Record<string, unknown> | undefined;
  const valueOf = (field: string | undefined) => {
    if (field === undefined) return text;
    fields ??= parseJsonSecret(text, where);
    const value = Object.hasOwn(fields, field) ? fields[field] : undefined;
    if (value === undefined) {
      throw failure(
        Cause.SecretUnusable,
        `${where} has no field ${field}, which the catalog maps to a key of the Kubernetes Secret ${dependent.secret}. Nothing was changed there. Correct keys in the catalog, or the secret.`,
      );
    }
    return typeof value === 'string' ? value : JSON.stringify(value);
  };
  const names = namesIn(dependent);
  const open = secretPartsOf(text)?.openFields;
  return new Map(
    dependent.keys.map(({ key, field }) => {
      const value = valueOf(field);
      // Protected, a user that is called as the Secret is would be cut out of every message.
      const isOpen = (field !== undefined && open?.has(field)) || names.some((name) => name.includes(value));
      if (!isOpen) protect(value);
      return [key, value];
    }),
  );
}

/**
 * Which mapped keys a Kubernetes Secret lacks or holds another value in, in words without any value; `undefined` when it holds the
 * version. Compared by SHA-256 digest, in constant time.
 */
export function whatIsMissing(secret: SecretObject | undefined, expected: ExpectedKeys): string | undefined {
  if (!secret) return 'there is no such Secret';
  const wrong = [...expected].flatMap(([key, value]) => {
    const held = secret.data?.[key];
    if (held === undefined) return [`it has no key ${key}`];
    return sameDigest(Buffer.from(held, 'base64'), Buffer.from(value)) ? [] : [`its key ${key} holds another value`];
  });
  return wrong.length === 0 ? undefined : wrong.join(', ');
}

/** Tells one content of a Secret from another; never leaves the process. */
export function contentDigest(secret: SecretObject | undefined): string {
  const data = Object.entries(secret?.data ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(data)).digest('hex');
}

/** What the catalog says openly. */
function namesIn({ namespace, secret, externalSecret = '', workloads }: KubernetesDependent): string[] {
  return [namespace, secret, externalSecret, ...workloads.map(({ name }) => name)];
}

function sameDigest(a: Buffer, b: Buffer): boolean {
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest();
  return timingSafeEqual(digest(a), digest(b));
}
