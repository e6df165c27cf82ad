import { operatorName } from '../operator';
import { requestAnswer } from '../request-answer';
import { parseSecretArgument } from '../secret-argument';
import { readConfig, withKeyturn } from '../session';
import type { Register } from './registration';

export const registerAbort: Register = (program, run) => {
  program
    .command('abort')
    .summary('undo a running rotation')
    .description('Asks a running rotation to undo what it did. Refused (exit code 3) past the point of no return.')
    .argument('<secret>', '<environment>/<name>')
    .option('--reason <text>', 'why, for the audit trail')
    .action((text: string, { reason }: { reason?: string }) =>
      run((shell) => {
        const { environment, secret, secretId } = parseSecretArgument(text);
        const requestedBy = operatorName(shell.env);
        return withKeyturn(readConfig(shell.env), async (keyturn) =>
          requestAnswer(secretId, await keyturn.abort(environment, secret, { reason, requestedBy })),
        );
      }),
    );
};
