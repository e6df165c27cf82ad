/** A key for AES-256, in clear and as only KMS can read it. */
export interface DataKey {
  plaintext: Uint8Array;
  encrypted: Uint8Array;
}

/** Where data keys come from and who can read them. */
export interface DataKeySource {
  generate(): Promise<DataKey>;
  decrypt(encrypted: Uint8Array): Promise<Uint8Array>;
}

export interface DataKeyLimits {
  /** How many payloads one data key encrypts before the next one is asked for. */
  payloadsPerKey: number;
  /** How long a data key is used, for either direction, in milliseconds. */
  maxAgeMs: number;
  /** How many data keys are kept for decryption. */
  cachedKeys: number;
}

/**
 * An hour is how long a worker can still read after its access to the KMS key was withdrawn. 10,000 payloads are far
 * below what one key may encrypt with random nonces (2^32, NIST SP 800-38D section 8.3).
 */
const DATA_KEY_LIMITS: DataKeyLimits = { payloadsPerKey: 10_000, maxAgeMs: 3_600_000, cachedKeys: 1_000 };

/** After a failed renewal the next one waits this long, in milliseconds. */
const RENEWAL_PAUSE_MS = 30_000;

/**
 * Reuses data keys within {@link DataKeyLimits}, so that KMS is asked a few times an hour and not for every payload.
 */
export class DataKeyRing {
  private current?: { key: DataKey; since: number; payloads: number };
  private first?: Promise<DataKey>;
  private renewal?: { notBefore: number };
  private readonly decrypted = new Map<string, { plaintext: Promise<Uint8Array>; since: number }>();

  /**
   * @param onRenewalFailed hears why a data key could not be replaced and is used on.
   * @param now milliseconds; tests hand in their own clock.
   */
  constructor(
    private readonly source: DataKeySource,
    private readonly onRenewalFailed: (error: unknown) => void,
    private readonly limits: DataKeyLimits = DATA_KEY_LIMITS,
    private readonly now: () => number = Date.now,
  ) {}

  /**
   * The data key for the next payload. Only the first call can fail or wait: a worker that cannot encrypt cannot even
   * report that, and Temporal's SDK stops it. So a key past its limits is used on until KMS has given the next one.
   */
  async forEncryption(): Promise<DataKey> {
    if (!this.current) {
      this.first ??= this.source.generate().finally(() => (this.first = undefined));
      this.adopt(await this.first);
    }
    const current = this.current as NonNullable<typeof this.current>;
    current.payloads += 1;
    const isSpent = current.payloads > this.limits.payloadsPerKey || this.now() - current.since > this.limits.maxAgeMs;
    if (isSpent && (this.renewal === undefined || this.now() >= this.renewal.notBefore)) void this.renew();
    return current.key;
  }

  /** Reads an encrypted data key; asks KMS once for each while it is cached. */
  async forDecryption(encrypted: Uint8Array): Promise<Uint8Array> {
    const id = Buffer.from(encrypted).toString('base64');
    const cached = this.decrypted.get(id);
    this.decrypted.delete(id);
    const entry =
      cached && this.now() - cached.since <= this.limits.maxAgeMs
        ? cached
        : { plaintext: this.source.decrypt(encrypted), since: this.now() };
    // Reinserting keeps the map in the order of use; the first entry is the one to drop.
    this.decrypted.set(id, entry);
    if (this.decrypted.size > this.limits.cachedKeys)
      this.decrypted.delete(this.decrypted.keys().next().value as string);
    try {
      return await entry.plaintext;
    } catch (error) {
      if (this.decrypted.get(id) === entry) this.decrypted.delete(id);
      throw error;
    }
  }

  private async renew(): Promise<void> {
    this.renewal = { notBefore: Infinity };
    try {
      this.adopt(await this.source.generate());
      this.renewal = undefined;
    } catch (error) {
      this.renewal = { notBefore: this.now() + RENEWAL_PAUSE_MS };
      this.onRenewalFailed(error);
    }
  }

  private adopt(key: DataKey): void {
    if (this.current?.key === key) return;
    this.current = { key, since: this.now(), payloads: 0 };
    this.decrypted.set(Buffer.from(key.encrypted).toString('base64'), {
      plaintext: Promise.resolve(key.plaintext),
      since: this.now(),
    });
  }
}
