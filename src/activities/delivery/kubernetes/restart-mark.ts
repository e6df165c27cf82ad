import { createHash } from 'node:crypto';
import type { Workload } from '../../../rotation/dependents';
import type { WorkloadObject } from './rollout-state';

/** Before what tells a secret in a Kubernetes Secret from others: the annotation that says with which version of it the pods were started. */
const PREFIX = 'version.keyturn.dev/';
/** Kubernetes' limit for an annotation's name after its prefix. */
const LONGEST_NAME = 63;
const DIGEST_LENGTH = 12;

/**
 * The name of the annotation. One Kubernetes Secret may hold several secrets, and several may hold one: each pair of them has its own, by a
 * digest of both. The Kubernetes Secret's name, cut when it is too long, is for people.
 *
 * @param secret the name of the Kubernetes Secret.
 * @param secretId of Secrets Manager.
 */
export function restartAnnotation(secret: string, secretId: string): string {
  return cutWith(digestOf(`${secret} ${secretId}`), secret);
}

/** For which version a workload was last restarted. */
export function restartMarkOf(
  { kind }: Workload,
  { metadata, spec }: WorkloadObject,
  secret: string,
  secretId: string,
): string | undefined {
  // A Rollout's template stays as it is, so that its own metadata says for which version `restartAt` was set.
  const { annotations = {} } = (kind === 'Rollout' ? metadata : spec.template?.metadata) ?? {};
  return annotations[restartAnnotation(secret, secretId)] ?? annotations[formerAnnotation(secret)];
}

/** Whether an annotation is a mark of Keyturn's, for whatever secret. */
export function isRestartMark(annotation: string): boolean {
  return annotation.startsWith(PREFIX);
}

/** Its name when secrets in one Kubernetes Secret shared one. It counts for restarts that were begun then, while there is none of today's. */
function formerAnnotation(secret: string): string {
  return secret.length <= LONGEST_NAME ? `${PREFIX}${secret}` : cutWith(digestOf(secret), secret);
}

function cutWith(digest: string, secret: string): string {
  return `${PREFIX}${secret.slice(0, LONGEST_NAME - 1 - DIGEST_LENGTH)}-${digest}`;
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, DIGEST_LENGTH);
}
