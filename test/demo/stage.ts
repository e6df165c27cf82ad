import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { KeyturnClient, RotationRun } from '../../src/client/keyturn-client';
import { parseSecretId } from '../../src/rotation/names';
import type { SecretType } from '../../src/rotation/names';
import type { RotationInput, RotationResult } from '../../src/rotation/types';
import type { WorkerProcess } from '../lab/worker-process';
import type { FakeKeyService } from '../testbed/fake-key-service';
import type { Pauses } from '../testbed/pauses';

/** What the story is told with. */
export interface Stage {
  client: KeyturnClient;
  secretsManager: SecretsManagerClient;
  keyService: FakeKeyService;
  pauses: Pauses;
  startWorker(): Promise<WorkerProcess>;
  say(line: string): void;
}

/** One line of the closing table. */
export interface Chapter {
  what: string;
  secretId: string;
  outcome: string;
  took: string;
  oldVersion: string;
  newVersion: string;
  /** Of the application that used the secret all the time. */
  application: string;
  /** Asked of the database or the key service itself. */
  oldCredential: string;
  /** Whether all of it was as promised. */
  asPromised: boolean;
}

export const short = (versionId: string | undefined): string => versionId?.slice(-12) ?? '-';

export const seconds = (since: number): string => `${((Date.now() - since) / 1_000).toFixed(2)} s`;

/** The parts of a secret's name that there must be. */
export function partsOf(secretId: string): { environment: string; secret: string } {
  const parts = parseSecretId(secretId);
  if (!parts) throw new Error(`${secretId} is not the name of a secret`);
  return parts;
}

/** Starts a rotation; returns as soon as Temporal has it. */
export function begin(
  stage: Stage,
  secretId: string,
  type: SecretType,
  more: Partial<RotationInput> = {},
): Promise<RotationRun> {
  return stage.client.start({ ...partsOf(secretId), requestedBy: 'demo', reason: 'npm run demo', ...more }, type);
}

/** Waits for its end, telling each step as it ends. */
export function follow(stage: Stage, run: RotationRun): Promise<RotationResult> {
  const seen = new Set<string>();
  return stage.client.follow(run, (status) => {
    for (const step of status.steps) {
      const line = `   ${step.state.padEnd(7)} ${step.summary}`;
      if (!['pending', 'running', 'skipped', 'undoing'].includes(step.state) && !seen.has(line)) {
        seen.add(line);
        stage.say(line);
      }
    }
  });
}

export async function rotate(stage: Stage, secretId: string, type: SecretType): Promise<RotationResult> {
  return follow(stage, await begin(stage, secretId, type));
}
