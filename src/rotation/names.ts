/** The fixed names that operators, dashboards and other programs rely on. */

export const TASK_QUEUE = 'keyturn';

export const SECRET_TYPES = ['app-secret', 'database', 'api-key'] as const;

/** A kind of secret that Keyturn knows how to rotate. */
export type SecretType = (typeof SECRET_TYPES)[number];

/** The workflow type that rotates each secret type. */
export const ROTATION_WORKFLOWS = {
  'app-secret': 'rotateAppSecret',
  database: 'rotateDatabaseCredential',
  'api-key': 'rotateApiKey',
} as const satisfies Record<SecretType, string>;

export const SEARCH_ATTRIBUTES = {
  environment: 'KeyturnEnvironment',
  secret: 'KeyturnSecret',
  type: 'KeyturnSecretType',
  phase: 'KeyturnPhase',
} as const;

/** Secrets Manager's name of a secret: `{environment}/{name}`. The name may itself contain slashes. */
export function secretIdOf(environment: string, secret: string): string {
  return `${environment}/${secret}`;
}

/** Where the new API key is while both work: beside the secret, so that applications find it by its name. */
export function secondarySecretIdOf(secretId: string): string {
  return `${secretId}-secondary`;
}

/** Splits `{environment}/{name}` at its first slash; `undefined` when either part is missing. */
export function parseSecretId(secretId: string): { environment: string; secret: string } | undefined {
  const slash = secretId.indexOf('/');
  if (slash <= 0 || slash === secretId.length - 1) return undefined;
  return { environment: secretId.slice(0, slash), secret: secretId.slice(slash + 1) };
}

/** The one workflow ID under which a secret may be rotated; the server admits one running workflow per ID. */
export function rotationWorkflowId(environment: string, secret: string): string {
  return `rotation/${secretIdOf(environment, secret)}`;
}

/** The workflow type that rotates many secrets of one environment. */
export const FLEET_WORKFLOW = 'rotateEnvironment';

/** Of the rotation of an environment, what decides which one it is: there may be an emergency beside the ordinary one. */
interface FleetIdentity {
  environment: string;
  emergency?: boolean;
  dryRun?: boolean;
}

/**
 * The one workflow ID under which an environment may be rotated. An emergency has one of its own, which no ordinary rotation can keep it
 * from, unless it only says what it would do.
 */
export function fleetWorkflowId({ environment, emergency, dryRun }: FleetIdentity): string {
  const ordinary = `fleet/${environment}`;
  return emergency && !dryRun ? `${ordinary}/emergency` : ordinary;
}

/** How a rotation that a fleet has started tells it that both credentials work now, and that nothing is left to wait for. */
export const GRACE_PERIOD_SIGNAL = 'rotationInGracePeriod';
