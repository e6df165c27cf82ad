import type { BackupPlan } from './backup';
import type { DeliveryPlan, Dependent } from './dependents';
import type { NotificationRoute } from './notifications';
import type { PasswordPolicy } from './password-policy';

/** How a PostgreSQL session is protected; libpq's words (PostgreSQL manual, chapter 'SSL Support') without those that may drop TLS silently. */
export const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

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
  /** All at once, ten restarts at a time, when absent. */
  delivery?: DeliveryPlan;
  /** Which channels are told of what; when absent, the worker's log alone of what happens in a grace period. */
  notifications?: NotificationRoute[];
  /** Where the secret is backed up before it is changed; not at all when absent. */
  backup?: BackupPlan;
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

export interface ApiKeyPlan extends PlanBase {
  type: 'api-key';
  /** `{secretId}-secondary`. */
  secondarySecretId: string;
  provider: ApiKeyProviderPlan;
  /** The fields of the JSON secret that hold the key's public ID and its value; the others are kept. */
  fields: ApiKeyFields;
  /** How long both keys work before the new one is promoted, in milliseconds. */
  gracePeriodMs: number;
  /** The longest that operators and usage may prolong it to, counted from its start, in milliseconds. */
  maxGracePeriodMs: number;
  /** What share of use the new key gets, and how long after the grace period's start; in ascending order. */
  phaseIn: PhaseInStep[];
  /** How long the old key must not have been used before it is revoked, in milliseconds; 0 does not ask. */
  quietPeriodMs: number;
  /** What happens to an old key that is in use when `maxGracePeriodMs` is over. */
  onStillUsed: OnStillUsed;
}

export interface ApiKeyFields {
  id: string;
  value: string;
}

export interface PhaseInStep {
  /** Milliseconds after the grace period's start. */
  afterMs: number;
  /** 0 to 100. */
  percent: number;
}

/** `fail` rolls the rotation back; `revoke` retires the old key although somebody uses it. */
export const ON_STILL_USED = ['fail', 'revoke'] as const;
export type OnStillUsed = (typeof ON_STILL_USED)[number];

/** Who issues the keys, and how to ask them. Holds names and addresses, never a value. */
export type ApiKeyProviderPlan = AwsIamProviderPlan | HttpProviderPlan | AmazonSpApiProviderPlan;

/** Access keys of an IAM user. */
export interface AwsIamProviderPlan {
  name: 'aws-iam';
  userName: string;
}

/**
 * One HTTP request. `url`, `headers` and `body` are templates; `{{name}}` names one of: `key.id`, `key.value` (the key that is asked about),
 * `label` (the name that a new key gets), `admin.FIELD` (a field of the administrator's secret).
 */
export interface HttpCall {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  url: string;
  headers: Record<string, string>;
  /** JSON. */
  body?: string;
}

/** Any REST service that issues keys. `…Pointer`s are JSON Pointers (RFC 6901) into its answers. */
export interface HttpProviderPlan {
  name: 'http';
  /** Secrets Manager's name of a JSON secret whose fields templates may name as `admin.FIELD`. */
  adminSecretId?: string;
  /** How long one answer may take, in milliseconds. */
  requestTimeoutMs: number;
  /** How long a new or revoked key may take to be known everywhere, in milliseconds. */
  settleMs: number;
  /** The header that carries an idempotency key; a service that honours it gives the same answer again. */
  idempotencyHeader?: string;
  create: HttpCall & { idPointer: string; valuePointer: string };
  /** `accepted` and `refused` are HTTP statuses; any other proves nothing. */
  verify: HttpCall & { accepted: number[]; refused: number[] };
  list: HttpCall & {
    /** The array of keys. */
    keysPointer: string;
    /** Pointers into one of its elements. */
    idPointer: string;
    labelPointer?: string;
    createdAtPointer?: string;
    lastUsedAtPointer?: string;
    activePointer?: string;
  };
  deactivate?: HttpCall;
  reactivate?: HttpCall;
  delete: HttpCall;
}

/** The client secret of an Amazon Selling Partner application, which Login with Amazon accepts. */
export interface AmazonSpApiProviderPlan {
  name: 'amazon-sp-api';
  clientId: string;
  /** The SQS queue that receives APPLICATION_OAUTH_CLIENT_NEW_SECRET. */
  queueUrl: string;
  /** The Selling Partner API's address, such as `https://sellingpartnerapi-na.amazon.com`. */
  endpoint: string;
  /** Login with Amazon's token address. */
  tokenUrl: string;
}

export type RotationPlan = AppSecretPlan | DatabasePlan | ApiKeyPlan;
