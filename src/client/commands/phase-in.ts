import { InvalidArgumentError } from 'commander';
import { operatorName } from '../operator';
import { requestAnswer } from '../request-answer';
import { parseSecretArgument } from '../secret-argument';
import { readConfig, withKeyturn } from '../session';
import type { Register } from './registration';

export const registerPhaseIn: Register = (program, run) => {
  program
    .command('phase-in')
    .summary('set what share of use a new API key gets')
    .description(
      'Tells applications what share of use the new key gets while both work; they read it in the secondary secret. ' +
        "From then on the catalog's phase-in schedule no longer applies to this rotation. " +
        "Refused (exit code 3) outside of an API key's grace period.",
    )
    .argument('<secret>', '<environment>/<name>')
    .argument('<percent>', 'a whole number from 0 (the old key alone) to 100 (the new key alone)', readPercent)
    .option('--reason <text>', 'why, for the audit trail')
    .action((text: string, percent: number, { reason }: { reason?: string }) =>
      run((shell) => {
        const { environment, secret, secretId } = parseSecretArgument(text);
        const request = { percent, reason, requestedBy: operatorName(shell.env) };
        return withKeyturn(readConfig(shell.env), async (keyturn) =>
          requestAnswer(secretId, await keyturn.setPhaseIn(environment, secret, request)),
        );
      }),
    );
};

function readPercent(text: string): number {
  const percent = /^\d{1,3}$/.test(text) ? Number(text) : NaN;
  if (!(percent <= 100)) throw new InvalidArgumentError('Expected a whole number from 0 to 100.');
  return percent;
}
