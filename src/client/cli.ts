#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { registerAbort } from './commands/abort';
import { registerAges } from './commands/ages';
import { registerApply } from './commands/apply';
import { registerAudit } from './commands/audit';
import { registerBackup } from './commands/backup';
import { registerDoctor } from './commands/doctor';
import { registerEndGrace } from './commands/end-grace';
import { registerExtend } from './commands/extend';
import { registerPhaseIn } from './commands/phase-in';
import { registerPlan } from './commands/plan';
import type { Run } from './commands/registration';
import { registerRestore } from './commands/restore';
import { registerReview } from './commands/review';
import { registerRollback } from './commands/rollback';
import { registerRotate } from './commands/rotate';
import { registerStatus } from './commands/status';
import { registerUsage } from './commands/usage';
import { registerWorker } from './commands/worker';
import { UsageError } from './errors';
import { ExitCode } from './exit-codes';
import type { Shell } from './shell';
import { answer, sayFailure } from './shell';

const EXIT_CODES = `
Exit codes:
  0    done
  1    failed
  2    usage: bad arguments, unknown secret, bad catalog or configuration
  3    refused, nothing was changed: already running, past the point of no return, not in a grace period
  130  stopped waiting by Ctrl-C; the rotation goes on`;

const COMMANDS = [
  registerRotate,
  registerStatus,
  registerAbort,
  registerExtend,
  registerEndGrace,
  registerPhaseIn,
  registerRollback,
  registerPlan,
  registerApply,
  registerAges,
  registerReview,
  registerUsage,
  registerBackup,
  registerRestore,
  registerDoctor,
  registerAudit,
  registerWorker,
];

// An operator cannot act on the AWS SDK's notice about future Node versions, and it would stand between the lines of a result.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

async function main(argv: string[]): Promise<ExitCode> {
  let exitCode: ExitCode = ExitCode.Done;
  const program = new Command('keyturn')
    .description('Rotates secrets durably: every rotation is a Temporal workflow that proves itself or undoes itself.')
    .option('--json', 'print one JSON document on stdout and nothing else')
    .addHelpText('after', EXIT_CODES)
    .showHelpAfterError('(keyturn --help lists the commands)');
  const shell = (): Shell => ({
    env: process.env,
    stdout: process.stdout,
    stderr: process.stderr,
    json: program.opts<{ json?: boolean }>().json === true,
  });
  const run: Run = async (work) => {
    const here = shell();
    exitCode = await answer(here, () => work(here));
  };
  for (const register of COMMANDS) register(program, run);
  for (const command of [program, ...allCommandsOf(program)]) {
    command.exitOverride().configureOutput({
      writeErr: (text) => shell().json || process.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error:/, 'Error:')),
    });
  }
  try {
    await program.parseAsync(argv);
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) return sayFailure(shell(), error);
    if (error.exitCode === 0) return ExitCode.Done;
    if (shell().json) sayFailure(shell(), new UsageError(error.message.replace(/^error: /, '')));
    return ExitCode.Usage;
  }
}

function allCommandsOf(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...allCommandsOf(child)]);
}

void main(process.argv).then((exitCode) => {
  // Exits once everything is written, whatever a library still holds open. The worker's guards may have set a code of their own.
  process.stdout.write('', () => process.exit(exitCode || process.exitCode));
});
