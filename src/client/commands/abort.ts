import type { AbortRequest } from '../../rotation/types';
import { UsageError } from '../errors';
import type { FleetName } from '../fleet-errors';
import { operatorName } from '../operator';
import { requestAnswer } from '../request-answer';
import { parseSecretArgument } from '../secret-argument';
import { readConfig, withKeyturn } from '../session';
import type { Answer, Shell } from '../shell';
import type { Register } from './registration';

export const registerAbort: Register = (program, run) => {
  program
    .command('abort')
    .summary('undo a running rotation, or stop that of an environment')
    .description(
      'Asks a running rotation to undo what it did. Refused (exit code 3) past the point of no return. ' +
        'With --all, the rotation of an environment starts no further secret; those that run go on. Of an emergency: --all --emergency.',
    )
    .argument('<secret>', '<environment>/<name>; with --all an environment')
    .option('--all', 'stop rotating the environment')
    .option('--emergency', 'with --all: the emergency, and not the ordinary rotation')
    .option('--reason <text>', 'why, for the audit trail')
    .action((text: string, { all, emergency, reason }: { all?: boolean; emergency?: boolean; reason?: string }) =>
      run((shell) => {
        const requestedBy = operatorName(shell.env);
        if (all) return stopFleet(shell, { environment: text, emergency }, { reason, requestedBy });
        if (emergency) {
          throw new UsageError(
            `--emergency goes with --all and an environment. What to do about the emergency of one secret: keyturn status ${text}`,
          );
        }
        const { environment, secret, secretId } = parseSecretArgument(text);
        return withKeyturn(readConfig(shell.env), async (keyturn) =>
          requestAnswer(secretId, await keyturn.abort(environment, secret, { reason, requestedBy })),
        );
      }),
    );
};

function stopFleet(shell: Shell, fleet: FleetName, request: AbortRequest): Promise<Answer> {
  return withKeyturn(readConfig(shell.env), async (keyturn) => {
    const { environment } = fleet;
    const { accepted } = await keyturn.fleets.abort(fleet, request);
    return {
      result: { environment, accepted },
      text: `${environment}: ${accepted}\nUndo one that runs: keyturn abort ${environment}/<name>`,
    };
  });
}
