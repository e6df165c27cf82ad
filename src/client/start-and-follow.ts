import { noWorker, whatNext } from './errors';
import { untilInterrupted } from './interrupt';
import type { KeyturnClient, RotationRun } from './keyturn-client';
import { createProgress } from './progress';
import { resultText } from './report-text';
import { startedBy } from './rotation-report';
import type { RotationReport } from './rotation-report';
import type { Answer, Shell } from './shell';
import { note } from './shell';

/** Starts one rotation or rollback and, unless detached, shows it until it ends. */
export async function startAndFollow(
  shell: Shell,
  keyturn: KeyturnClient,
  start: () => Promise<RotationRun>,
  detach: boolean,
): Promise<Answer> {
  const run = await start();
  const { secretId, behind, joined } = run;
  if (behind) note(shell, behindText(secretId, behind));
  if (joined) note(shell, joinedText(secretId, joined));
  return detach ? startedAnswer(run) : follow(shell, keyturn, run);
}

/** Shows a rotation until it ends or the operator stops waiting. */
export async function follow(shell: Shell, keyturn: KeyturnClient, run: RotationRun): Promise<Answer> {
  const { secretId, workflowId, runId } = run;
  const progress = createProgress(shell, false);
  try {
    const result = await untilInterrupted((signal) =>
      keyturn.follow(run, shell.json ? undefined : (status) => progress.update(secretId, status), {
        signal,
        onUnanswered: () => progress.unanswered(secretId, noWorker(keyturn.taskQueue)),
      }),
    );
    return { result: { workflowId, runId, ...result }, text: resultText(secretId, result) };
  } finally {
    progress.close();
  }
}

function startedAnswer({ environment, secret, secretId, workflowId, runId, joined }: RotationRun): Answer {
  return {
    result: { environment, secret, workflowId, runId, ...(joined && { joined: true }) },
    text: [
      joined ? `${workflowId} (run ${runId}) goes on.` : `Started ${workflowId} (run ${runId}).`,
      ...whatNext(secretId),
    ].join('\n'),
  };
}

function behindText(secretId: string, behind: RotationReport): string {
  const { workflowType, startedAt } = behind;
  return (
    `${secretId} is being changed already: ${workflowType} runs since ${startedAt}${startedBy(behind)}. Its grace period, if it is in one, ` +
    'is ended, and its end is waited for; then the secret is rotated again, because either credential may have leaked.'
  );
}

function joinedText(secretId: string, joined: RotationReport): string {
  return (
    `Nothing was started: this follows the emergency of ${secretId} that was declared at ${joined.startedAt}${startedBy(joined)}. ` +
    'If it has leaked again since, type the same once more when that has ended.'
  );
}
