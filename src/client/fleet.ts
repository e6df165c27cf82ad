import type { SecretType } from '../rotation/names';
import { secretIdOf } from '../rotation/names';
import type { RotationInput, RotationResult, RotationStatus } from '../rotation/types';
import { noWorker, OperatorError } from './errors';
import { ExitCode } from './exit-codes';
import { inLanes } from './in-lanes';
import { untilInterrupted } from './interrupt';
import type { KeyturnClient } from './keyturn-client';
import { createProgress } from './progress';
import type { Progress } from './progress';
import { resultText } from './report-text';
import type { Answer, Shell } from './shell';

export interface Fleet {
  environment: string;
  rotations: { input: RotationInput; type: SecretType }[];
  /** How many run at once. */
  concurrency: number;
  /** Starts all of them without waiting for their ends. */
  detach: boolean;
}

/** What became of one secret. */
interface FleetEntry {
  secretId: string;
  outcome: RotationResult['outcome'] | 'started' | 'not-started' | 'detached' | 'failed' | 'refused';
  workflowId?: string;
  runId?: string;
  result?: RotationResult;
  error?: { type: string; message: string; details?: unknown };
}

/**
 * Rotates many secrets, a bounded number at once. One that fails does not stop the others.
 *
 * @returns one entry per secret; with the problem `FleetIncomplete` when not all of them are done.
 */
export async function rotateEnvironment(shell: Shell, keyturn: KeyturnClient, fleet: Fleet): Promise<Answer> {
  const progress = createProgress(shell, true);
  const entries: FleetEntry[] = fleet.rotations.map(({ input }) => ({
    secretId: secretIdOf(input.environment, input.secret),
    outcome: 'not-started',
  }));
  try {
    await untilInterrupted(async (signal) => {
      const ends: Promise<void>[] = [];
      await inLanes(fleet.rotations, fleet.concurrency, async ({ input, type }, index) => {
        if (signal.aborted) return;
        let onGracePeriod = () => {};
        const inGracePeriod = new Promise<void>((resolve) => (onGracePeriod = resolve));
        const end = rotateOne(keyturn, input, type, { progress, signal, fleet, onGracePeriod }).then((entry) => {
          entries[index] = entry;
        });
        // What it throws is thrown when all are waited for.
        end.catch(() => undefined);
        ends.push(end);
        // A grace period takes days and does no work: the others do not wait for it.
        await Promise.race([end, inGracePeriod]);
      });
      await Promise.all(ends);
    });
  } finally {
    progress.close();
  }
  return fleetAnswer(fleet.environment, entries);
}

interface Watching {
  progress: Progress;
  signal: AbortSignal;
  fleet: Fleet;
  /** Called, perhaps often, while both credentials work. */
  onGracePeriod(): void;
}

async function rotateOne(
  keyturn: KeyturnClient,
  input: RotationInput,
  type: SecretType,
  { progress, signal, fleet, onGracePeriod }: Watching,
): Promise<FleetEntry> {
  const secretId = secretIdOf(input.environment, input.secret);
  try {
    const run = await keyturn.start(input, type);
    const { workflowId, runId } = run;
    if (fleet.detach) return { secretId, outcome: 'started', workflowId, runId };
    const onStatus = (status: RotationStatus) => {
      progress.update(secretId, status);
      if (status.phase === 'grace-period') onGracePeriod();
    };
    const result = await keyturn.follow(run, onStatus, {
      signal,
      onUnanswered: () => progress.unanswered(secretId, noWorker(keyturn.taskQueue)),
    });
    progress.ended(secretId, result.outcome);
    return { secretId, outcome: result.outcome, workflowId, runId, result };
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    const outcome = outcomeOf(error);
    progress.ended(secretId, `${outcome}: ${firstLine(error.message)}`);
    return { secretId, outcome, error: { type: error.type, message: error.message, details: error.details } };
  }
}

function outcomeOf({ exitCode }: OperatorError): FleetEntry['outcome'] {
  if (exitCode === ExitCode.Detached) return 'detached';
  return exitCode === ExitCode.Refused || exitCode === ExitCode.Usage ? 'refused' : 'failed';
}

function fleetAnswer(environment: string, entries: FleetEntry[]): Answer {
  const count = (...outcomes: FleetEntry['outcome'][]) =>
    entries.filter(({ outcome }) => outcomes.includes(outcome)).length;
  const result = { environment, secrets: entries };
  const text = entries.map(fleetText).join('\n');
  const exitCode =
    count('detached', 'not-started') > 0
      ? ExitCode.Detached
      : count('failed') > 0
        ? ExitCode.Failed
        : count('refused') > 0
          ? ExitCode.Refused
          : ExitCode.Done;
  if (exitCode === ExitCode.Done) return { result, text };

  const done = count('rotated', 'unchanged', 'dry-run', 'started');
  const message = [
    `${done} of ${entries.length} secrets of ${environment} are done, ${count('failed')} failed, ${count('refused')} were refused` +
      (exitCode === ExitCode.Detached
        ? `; you stopped waiting for ${count('detached')}, which go on, and ${count('not-started')} were not started.`
        : '.'),
    `Look at one: keyturn status ${environment}/<name>`,
  ].join('\n');
  return { result, text, problem: new OperatorError('FleetIncomplete', message, exitCode, result) };
}

function fleetText({ secretId, outcome, result, runId, error }: FleetEntry): string {
  if (result) return resultText(secretId, result);
  if (error) return `${secretId}: ${outcome}: ${firstLine(error.message)}`;
  return `${secretId}: ${outcome}${runId ? ` (run ${runId})` : ''}`;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
