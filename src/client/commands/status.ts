import { parseSecretArgument } from '../secret-argument';
import { readConfig, withKeyturn } from '../session';
import type { Answer, Shell } from '../shell';
import { usesColour } from '../shell';
import { reportText, runningText } from '../report-text';
import { follow } from '../start-and-follow';
import { reportAt } from '../rotation-report';
import type { Register } from './registration';

export const registerStatus: Register = (program, run) => {
  program
    .command('status')
    .summary('what runs, or where one rotation stands')
    .description('Lists the rotations that run, or shows the latest rotation of one secret, running or ended.')
    .argument('[secret]', '<environment>/<name>')
    .option('--follow', 'wait for the end of a running rotation, showing its steps')
    .action((secret: string | undefined, { follow: wait }: { follow?: boolean }) =>
      run((shell) => (secret === undefined ? listRunning(shell) : showOne(shell, secret, wait === true))),
    );
};

async function listRunning(shell: Shell): Promise<Answer> {
  const running = await withKeyturn(readConfig(shell.env), (keyturn) => keyturn.running());
  return { result: { running }, text: runningText(running) };
}

async function showOne(shell: Shell, text: string, wait: boolean): Promise<Answer> {
  const { environment, secret, secretId } = parseSecretArgument(text);
  return withKeyturn(readConfig(shell.env), async (keyturn) => {
    const report = await keyturn.status(environment, secret);
    if (wait && report.execution === 'running') {
      const { workflowId, runId } = report;
      return follow(shell, keyturn, { environment, secret, secretId, workflowId, runId });
    }
    return { result: reportAt(report, Date.now()), text: reportText(report, usesColour(shell.env, shell.stdout)) };
  });
}
