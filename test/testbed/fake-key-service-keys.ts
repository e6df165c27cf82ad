import { randomBytes } from 'node:crypto';

/** A key as the service itself knows it. */
export interface FakeKey {
  id: string;
  name: string;
  value: string;
  active: boolean;
  createdAt: string;
  lastUsedAt?: string;
  /** How often it was accepted. */
  uses: number;
}

/** The keys of one account, and those it had. */
export function createKeyRing({ maxKeys = 5, validAfterMs = 0 }: { maxKeys?: number; validAfterMs?: number }) {
  const keys = new Map<string, FakeKey>();
  const everyValue: string[] = [];

  return {
    keys,
    everyValue,

    /** `undefined` when there are as many keys as are allowed. */
    issue(name: string): FakeKey | undefined {
      if (keys.size >= maxKeys) return undefined;
      const key: FakeKey = {
        id: `key_${randomBytes(6).toString('hex')}`,
        name,
        value: `fks_${randomBytes(24).toString('base64url')}`,
        active: true,
        createdAt: new Date().toISOString(),
        uses: 0,
      };
      keys.set(key.id, key);
      everyValue.push(key.value);
      return key;
    },

    /** Whether a key opens the service now. */
    use(value: string): boolean {
      const key = [...keys.values()].find((candidate) => candidate.value === value);
      if (!key?.active || Date.now() < Date.parse(key.createdAt) + validAfterMs) return false;
      key.lastUsedAt = new Date().toISOString();
      key.uses += 1;
      return true;
    },
  };
}
