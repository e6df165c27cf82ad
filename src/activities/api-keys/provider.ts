/** A key as its provider lists it; nothing here is secret. */
export interface ApiKeyFacts {
  /** The provider's public ID. */
  id: string;
  /** The name that it was created with, where the provider keeps one. */
  label?: string;
  active: boolean;
  /** ISO 8601. */
  createdAt?: string;
  /** ISO 8601; absent when it was never used or the provider cannot tell. */
  lastUsedAt?: string;
}

/** A key with its value. The value must be registered for redaction before this is returned. */
export interface ApiKeyCredential {
  /** Absent for a current key whose ID its secret does not hold and the provider does not need. */
  id?: string;
  value: string;
}

export interface CreatedApiKey extends ApiKeyCredential {
  id: string;
  /** When the provider itself ends the key that this one replaces, ISO 8601; the grace period then ends before. */
  replacedExpiresAt?: string;
  /** Called once the value is durable: forgets what was kept for another attempt. May be called twice. */
  stored?(): Promise<void>;
}

/** What a rotation gives a new key, the same on every retry, so that a key whose answer was lost can be found. */
export interface ApiKeyRequest {
  /** A name such as `keyturn/dev/api/payments/{first run ID}`. */
  label: string;
  /** Unique for one creation; the same when it is repeated. */
  idempotencyKey: string;
  /** When the rotation first set out to create it, ISO 8601. */
  since: string;
}

/**
 * Who issues keys. Every method may be repeated, and makes its outside calls through `outsideCall`.
 *
 * Errors are `failure(Cause…, message)`: TargetUnavailable when nothing was proved, Throttled, PermissionDenied, TooManyKeys,
 * NotYetVisible for what is still on its way, CatalogInvalid for an answer that the description of the provider does not expect. An
 * answer's body is never quoted.
 */
export interface ApiKeyProvider {
  /** How long a new or revoked key may take to be known everywhere, in milliseconds. */
  readonly settleMs: number;
  /** How many keys the provider allows, where that is few. */
  readonly mostKeys?: number;
  /** Issues a key. @throws TooManyKeys when the provider allows no further one. */
  create(request: ApiKeyRequest): Promise<CreatedApiKey>;
  /**
   * The key that an earlier attempt created with the same request, where its value can still be read. Absent for providers that
   * show a value only once; such a key is deleted and created anew.
   *
   * @param found the key as it is listed; absent where the provider cannot list.
   */
  recover?(request: ApiKeyRequest, found?: ApiKeyFacts): Promise<CreatedApiKey | undefined>;
  /** Uses a key once. Only the provider's own refusal counts as one. */
  verify(credential: ApiKeyCredential): Promise<'accepted' | 'refused'>;
  /** All keys of this account, whoever made them. Absent where the provider cannot tell. */
  list?(): Promise<ApiKeyFacts[]>;
  /** When a key was last used, ISO 8601; `undefined` when it never was. Absent where the provider cannot tell. */
  lastUsed?(id: string): Promise<string | undefined>;
  /** Absent where the provider has no such thing; one that is gone counts as deactivated. */
  deactivate?(id: string): Promise<void>;
  reactivate?(id: string): Promise<void>;
  /** Absent where keys only expire. One that is gone counts as deleted. */
  delete?(id: string): Promise<void>;
}
