import type { PasswordPolicy } from './password-policy';

/** How a PostgreSQL session is protected; libpq's words (PostgreSQL manual, chapter 'SSL Support') without those that may drop TLS silently. */
export const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

/** A workload that uses a secret and must be seen working with the new version. */
export interface HttpDependent {
  kind: 'http';
  name: string;
  /** Answers `expectStatus` when the workload is healthy. */
  healthUrl: string;
  expectStatus: number;
  /** How long the workload may take to become healthy, in milliseconds. */
  timeoutMs: number;
}

export type Dependent = HttpDependent;

/** What every plan says, whatever the type. A plan is snapshotted into history at the start and holds no value. */
interface PlanBase {
  environment: string;
  /** The name below the environment. */
  secret: string;
  /** `{environment}/{secret}`: its name in Secrets Manager. */
  secretId: string;
  description?: string;
  password: PasswordPolicy;
  dependents: Dependent[];
  timeouts: {
    /** How long one step is retried before the rotation is rolled back, in milliseconds. */
    stepMs: number;
    /** How long one compensation is retried before it is reported as left to do by hand, in milliseconds. */
    rollbackMs: number;
  };
}

export interface AppSecretPlan extends PlanBase {
  type: 'app-secret';
  /** The field of a JSON secret that is rotated; the whole string when absent. */
  field?: string;
}

export type DatabaseStrategy = 'single-user' | 'alternating-users';

export interface DatabasePlan extends PlanBase {
  type: 'database';
  strategy: DatabaseStrategy;
  /** Secrets Manager's name of a secret whose login may alter this one's; needed by alternating-users. */
  adminSecretId?: string;
  /** The NOLOGIN role that owns everything; both alternating logins are members of it. */
  groupRole?: string;
  /** The two logins of alternating-users; the secret's login and `{login}_clone` when absent, as AWS names them. */
  logins?: [string, string];
  /** Applies when the secret itself does not say. */
  sslMode: SslMode;
  /** A PEM file with the certificate authorities to trust, on the worker. */
  sslRootCert?: string;
  /** Alternating-users: how long the login out of use stays unlocked after the rotation, in milliseconds; until the next rotation when absent. */
  gracePeriodMs?: number;
}

export type RotationPlan = AppSecretPlan | DatabasePlan;
