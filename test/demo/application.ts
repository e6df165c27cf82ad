import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { opensDatabase } from '../lab/postgres-login';
import type { StoredLogin } from '../lab/postgres-login';

/** How long the application trusts a secret that it has read, as AWS's caching clients do with an hour. */
const CACHE_MS = 200;
const PAUSE_MS = 5;

interface Credential extends StoredLogin {
  versionId: string;
}

/**
 * An application that uses a database secret as many do: it caches the secret for a moment, opens a new connection for every query,
 * and knows nothing of rotations. A query that is refused is counted as failed, and not tried again.
 */
export class Application {
  queries = 0;
  failed = 0;
  /** When the first and the last refused query were, in milliseconds since the epoch. */
  firstFailureAt?: number;
  lastFailureAt?: number;
  private running?: Promise<void>;
  private stopping = false;
  private readonly credential: { value?: Credential; readAt: number } = { readAt: 0 };

  constructor(
    private readonly secretsManager: SecretsManagerClient,
    private readonly secretId: string,
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
      this.queries += 1;
      const accepted = await opensDatabase(await this.current());
      if (!accepted) {
        this.failed += 1;
        this.firstFailureAt ??= Date.now();
        this.lastFailureAt = Date.now();
        // What every application does after a refused login: look whether the secret has changed.
        this.credential.readAt = 0;
      }
      await delay(PAUSE_MS);
    }
  }

  private async current(): Promise<Credential> {
    const { value, readAt } = this.credential;
    if (value && Date.now() - readAt < CACHE_MS) return value;
    const read = await readCredential(this.secretsManager, this.secretId, { VersionStage: 'AWSCURRENT' });
    Object.assign(this.credential, { value: read, readAt: Date.now() });
    return read;
  }
}

/** A workload that comes up with the password it was released with, and with no other: its health check says so. */
export class BrokenRelease {
  private constructor(private readonly server: Server) {}

  static async start(secretsManager: SecretsManagerClient, secretId: string): Promise<BrokenRelease> {
    const current = () => readCredential(secretsManager, secretId, { VersionStage: 'AWSCURRENT' });
    const { versionId } = await current();
    const server = createServer((_request, response) => {
      void current().then(
        (now) => response.writeHead(now.versionId === versionId ? 200 : 503).end(),
        () => response.writeHead(500).end(),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new BrokenRelease(server);
  }

  get healthUrl(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/healthz`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

export async function readCredential(
  secretsManager: SecretsManagerClient,
  secretId: string,
  version: { VersionStage: string } | { VersionId: string },
): Promise<Credential> {
  const { SecretString = '{}', VersionId = '' } = await secretsManager.send(
    new GetSecretValueCommand({ SecretId: secretId, ...version }),
  );
  return { ...(JSON.parse(SecretString) as Omit<Credential, 'versionId'>), versionId: VersionId };
}
