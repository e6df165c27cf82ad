import { operatorName } from '../operator';
import { requestAnswer } from '../request-answer';
import { parseSecretArgument } from '../secret-argument';
import { readConfig, withKeyturn } from '../session';
import type { Register } from './registration';

export const registerEndGrace: Register = (program, run) => {
  program
    .command('end-grace')
    .summary('end a grace period now')
    .description(
      'Ends the grace period of a running rotation now. Database: the old login is locked. ' +
        'API key: the new key is promoted, and the old one is revoked once it is no longer used. ' +
        'Refused (exit code 3) outside of one.',
    )
    .argument('<secret>', '<environment>/<name>')
    .option('--reason <text>', 'why, for the audit trail')
    .action((text: string, { reason }: { reason?: string }) =>
      run((shell) => {
        const { environment, secret, secretId } = parseSecretArgument(text);
        const requestedBy = operatorName(shell.env);
        return withKeyturn(readConfig(shell.env), async (keyturn) =>
          requestAnswer(secretId, await keyturn.endGracePeriod(environment, secret, { reason, requestedBy })),
        );
      }),
    );
};
