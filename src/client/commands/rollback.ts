import { operatorName } from '../operator';
import { parseSecretArgument } from '../secret-argument';
import { openCatalog, readConfig, withKeyturn } from '../session';
import type { Answer, Shell } from '../shell';
import { startAndFollow } from '../start-and-follow';
import type { Register } from './registration';

interface RollbackOptions {
  reason?: string;
  dryRun?: boolean;
  detach?: boolean;
}

export const registerRollback: Register = (program, run) => {
  program
    .command('rollback')
    .summary('go back to the version before the last rotation')
    .description(
      'Goes back to AWSPREVIOUS, with the target system set back too. For a rotation that still runs, use abort.',
    )
    .argument('<secret>', '<environment>/<name>')
    .option('--reason <text>', 'why, for the audit trail')
    .option('--dry-run', 'say what would be done and touch nothing')
    .option('--detach', 'do not wait for the end')
    .action((text: string, options: RollbackOptions) => run((shell) => rollback(shell, text, options)));
};

async function rollback(shell: Shell, text: string, { reason, dryRun, detach }: RollbackOptions): Promise<Answer> {
  const { environment, secret } = parseSecretArgument(text);
  const config = readConfig(shell.env);
  const { type } = (await openCatalog(config)).plan(environment, secret);
  const input = { environment, secret, reason, dryRun, requestedBy: operatorName(shell.env) };
  return withKeyturn(config, (keyturn) =>
    startAndFollow(shell, keyturn, () => keyturn.rollback(input, type), detach === true),
  );
}
