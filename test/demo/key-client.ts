import { setTimeout as delay } from 'node:timers/promises';
import { GetSecretValueCommand, ResourceNotFoundException } from '@aws-sdk/client-secrets-manager';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { secondarySecretIdOf } from '../../src/rotation/names';
import { accepted } from '../testbed/api-keys';
import type { FakeKeyService } from '../testbed/fake-key-service';

/** How long the client trusts a secret that it has read. */
const CACHE_MS = 200;
const PAUSE_MS = 10;

/** What an application reads of an API key's two secrets. */
interface KeyDocument {
  /** Absent in a secondary that offers no key. */
  key?: string;
  phaseInPercent?: number;
}

interface Keys {
  primary: KeyDocument;
  secondary?: KeyDocument;
}

/**
 * A client of a service that wants an API key, written as docs/operators-guide.md advises: it takes the key of the secondary secret for the
 * share of its calls that stands there, and the primary's for the others. A call that is refused is counted as failed, and not tried
 * again.
 */
export class KeyClient {
  calls = 0;
  failed = 0;
  callsWithSecondary = 0;
  private running?: Promise<void>;
  private stopping = false;
  private readonly cache: { keys?: Keys; readAt: number } = { readAt: 0 };

  /** @param phasesIn false for one that does not know of secondaries. */
  constructor(
    private readonly secretsManager: SecretsManagerClient,
    private readonly service: FakeKeyService,
    private readonly secretId: string,
    private readonly phasesIn: boolean,
  ) {}

  start(): void {
    this.running = this.work();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.running;
  }

  private async work(): Promise<void> {
    while (!this.stopping) {
      const { primary, secondary } = await this.keys();
      const takesNew = secondary?.key !== undefined && Math.random() * 100 < (secondary.phaseInPercent ?? 0);
      this.calls += 1;
      if (takesNew) this.callsWithSecondary += 1;
      if (!(await accepted(this.service, (takesNew ? secondary : primary).key ?? ''))) {
        this.failed += 1;
        this.cache.readAt = 0;
      }
      await delay(PAUSE_MS);
    }
  }

  private async keys(): Promise<Keys> {
    const { keys, readAt } = this.cache;
    if (keys && Date.now() - readAt < CACHE_MS) return keys;
    const secondary = this.phasesIn
      ? await readKey(this.secretsManager, secondarySecretIdOf(this.secretId))
      : undefined;
    const read = { primary: (await readKey(this.secretsManager, this.secretId)) ?? {}, secondary };
    Object.assign(this.cache, { keys: read, readAt: Date.now() });
    return read;
  }
}

/** What an application finds now; `undefined` when there is no such secret. */
export async function readKey(
  secretsManager: SecretsManagerClient,
  secretId: string,
): Promise<KeyDocument | undefined> {
  try {
    const { SecretString = '{}' } = await secretsManager.send(
      new GetSecretValueCommand({ SecretId: secretId, VersionStage: 'AWSCURRENT' }),
    );
    return JSON.parse(SecretString) as KeyDocument;
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return undefined;
    throw error;
  }
}
