import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../../rotation/durations';
import { SECRET_TYPES } from '../../rotation/names';
import type { SecretType } from '../../rotation/names';
import type { RotationInput } from '../../rotation/types';
import { UsageError } from '../errors';
import { rotateEnvironment } from '../fleet';
import { operatorName } from '../operator';
import { parseSecretArgument } from '../secret-argument';
import { openCatalog, readConfig, withKeyturn } from '../session';
import type { Answer, Shell } from '../shell';
import { startAndFollow } from '../start-and-follow';
import type { Register } from './registration';

interface RotateOptions {
  all?: boolean;
  type?: SecretType;
  concurrency?: number;
  dryRun?: boolean;
  reason?: string;
  detach?: boolean;
  gracePeriod?: string;
  emergency?: boolean;
}

const DEFAULT_CONCURRENCY = 5;

export const registerRotate: Register = (program, run) => {
  program
    .command('rotate')
    .summary('rotate a secret, or all of an environment')
    .description(
      'Rotates one secret and waits for the end, or with --all every secret of an environment. ' +
        'Ctrl-C stops waiting and leaves the rotation running (exit code 130).',
    )
    .argument('<secret>', '<environment>/<name>, such as dev/database/app; with --all an environment')
    .option('--all', 'every secret of the environment')
    .option('--type <type>', `with --all: only secrets of this type (${SECRET_TYPES.join(', ')})`, readType)
    .option('--concurrency <n>', `with --all: how many at once (default ${DEFAULT_CONCURRENCY})`, readConcurrency)
    .option('--dry-run', 'say what would be done and touch nothing')
    .option('--reason <text>', 'why, for the audit trail')
    .option('--detach', 'do not wait for the end')
    .option('--grace-period <duration>', "how long the old credential stays valid, such as '7 days'", readDuration)
    .option('--emergency', 'the credential leaked: no grace period')
    .action((target: string, options: RotateOptions) => run((shell) => rotate(shell, target, options)));
};

async function rotate(shell: Shell, target: string, options: RotateOptions): Promise<Answer> {
  if (options.emergency && options.gracePeriod !== undefined) {
    throw new UsageError('--emergency means no grace period; give either it or --grace-period.');
  }
  const about: Omit<RotationInput, 'environment' | 'secret'> = {
    requestedBy: operatorName(shell.env),
    reason: options.reason,
    dryRun: options.dryRun,
    gracePeriod: options.gracePeriod,
    emergency: options.emergency,
  };
  if (options.all) return rotateAll(shell, target, about, options);
  if (options.type !== undefined || options.concurrency !== undefined) {
    throw new UsageError('--type and --concurrency go with --all.');
  }
  if (!target.includes('/')) {
    throw new UsageError(
      `'${target}' names an environment, not a secret. One secret: keyturn rotate ${target}/<name>. All of it: keyturn rotate ${target} --all`,
    );
  }
  const { environment, secret } = parseSecretArgument(target);
  const config = readConfig(shell.env);
  const { type } = (await openCatalog(config)).plan(environment, secret);
  const input: RotationInput = { environment, secret, ...about };
  return withKeyturn(config, (keyturn) =>
    startAndFollow(shell, keyturn, () => keyturn.start(input, type), options.detach === true),
  );
}

async function rotateAll(
  shell: Shell,
  environment: string,
  about: Omit<RotationInput, 'environment' | 'secret'>,
  { type, concurrency = DEFAULT_CONCURRENCY, detach }: RotateOptions,
): Promise<Answer> {
  const config = readConfig(shell.env);
  const catalog = await openCatalog(config);
  const secrets = catalog.secrets(environment).filter((entry) => type === undefined || entry.type === type);
  if (secrets.length === 0) {
    throw new UsageError(
      `The environment '${environment}' has no secret${type ? ` of type ${type}` : ''} in the catalog.`,
    );
  }
  return withKeyturn(config, (keyturn) =>
    rotateEnvironment(shell, keyturn, {
      environment,
      rotations: secrets.map(({ secret, type: secretType }) => ({
        input: { environment, secret, ...about },
        type: secretType,
      })),
      concurrency,
      detach: detach === true,
    }),
  );
}

function readType(text: string): SecretType {
  const type = SECRET_TYPES.find((known) => known === text);
  if (!type) throw new InvalidArgumentError(`Expected one of ${SECRET_TYPES.join(', ')}.`);
  return type;
}

function readConcurrency(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('Expected a whole number above 0.');
  return count;
}

function readDuration(text: string): string {
  if (parseDuration(text) === undefined) {
    throw new InvalidArgumentError("Expected a duration such as '7 days', '12 hours' or '30 minutes'.");
  }
  return text;
}
