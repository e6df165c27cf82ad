import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../../rotation/durations';
import { FLEET_TYPES, secretTypesOf, unknownYet } from '../../rotation/fleet';
import type { FleetInput, FleetType } from '../../rotation/fleet';
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
  type?: FleetType[];
  due?: boolean;
  concurrency?: number;
  dryRun?: boolean;
  reason?: string;
  detach?: boolean;
  gracePeriod?: string;
  emergency?: boolean;
}

const MOST_AT_ONCE = 100;

export const registerRotate: Register = (program, run) => {
  program
    .command('rotate')
    .summary('rotate a secret, or all of an environment')
    .description(
      'Rotates one secret and waits for the end, or with --all every secret of an environment. ' +
        'Those that are in a grace period count as done. Ctrl-C stops waiting and leaves the rotation running (exit code 130).',
    )
    .argument('<secret>', '<environment>/<name>, such as dev/database/app; with --all an environment')
    .option('--all', 'every secret of the environment')
    .option('--type <types>', `with --all: only secrets of these types (${FLEET_TYPES.join(', ')})`, readTypes)
    .option('--due', 'with --all: only secrets older than the catalog allows')
    .option(
      '--concurrency <n>',
      "with --all: how many at once; the catalog's fleet.concurrency when absent",
      readConcurrency,
    )
    .option('--dry-run', 'say what would be done and touch nothing')
    .option('--reason <text>', 'why, for the audit trail')
    .option('--detach', 'do not wait for the end')
    .option('--grace-period <duration>', "how long the old credential stays valid, such as '7 days'", readDuration)
    .option('--emergency', 'the credential leaked: no grace period, and what runs already is ended and rotated again')
    .action((target: string, options: RotateOptions) => run((shell) => rotate(shell, target, options)));
};

async function rotate(shell: Shell, target: string, options: RotateOptions): Promise<Answer> {
  if (options.emergency && options.gracePeriod !== undefined) {
    throw new UsageError('--emergency means no grace period; give either it or --grace-period.');
  }
  const { reason, dryRun, gracePeriod, emergency, due, concurrency, type: types, detach = false } = options;
  const about = { requestedBy: operatorName(shell.env), reason, dryRun, emergency };
  if (options.all) {
    if (gracePeriod !== undefined) {
      throw new UsageError('--grace-period goes with one secret; with --all each has the one of the catalog.');
    }
    if (due && emergency) throw new UsageError('--emergency means everything; give either it or --due.');
    return rotateAll(shell, target, { ...about, types, due, concurrency }, detach);
  }
  if (types !== undefined || concurrency !== undefined || due !== undefined) {
    throw new UsageError('--type, --due and --concurrency go with --all.');
  }
  if (!target.includes('/')) {
    throw new UsageError(
      `'${target}' names an environment, not a secret. One secret: keyturn rotate ${target}/<name>. All of it: keyturn rotate ${target} --all`,
    );
  }
  const { environment, secret } = parseSecretArgument(target);
  const config = readConfig(shell.env);
  const { type } = (await openCatalog(config)).plan(environment, secret);
  const input: RotationInput = { environment, secret, gracePeriod, ...about };
  return withKeyturn(config, (keyturn) => startAndFollow(shell, keyturn, () => keyturn.start(input, type), detach));
}

async function rotateAll(
  shell: Shell,
  environment: string,
  about: Omit<FleetInput, 'environment'>,
  detach: boolean,
): Promise<Answer> {
  const config = readConfig(shell.env);
  const { types } = about;
  const wanted = secretTypesOf(types);
  const declared = (await openCatalog(config)).secrets(environment).filter(({ type }) => wanted.has(type));
  if (declared.length === 0 && unknownYet(types).length === 0) {
    const ofType = types ? ` of the types ${types.join(', ')}` : '';
    throw new UsageError(`The environment '${environment}' has no secret${ofType} in the catalog.`);
  }
  return withKeyturn(config, (keyturn) => rotateEnvironment(shell, keyturn, { environment, ...about }, detach));
}

/** Also takes the types as the catalog spells them. */
const IN_CATALOG: Record<string, FleetType> = { 'app-secret': 'app-secrets', 'api-key': 'api-keys' };

function readTypes(text: string, before: FleetType[] = []): FleetType[] {
  const types = text.split(',').map((word) => {
    const name = word.trim();
    const type = IN_CATALOG[name] ?? FLEET_TYPES.find((known) => known === name);
    if (!type) throw new InvalidArgumentError(`Expected one of ${FLEET_TYPES.join(', ')}.`);
    return type;
  });
  return [...new Set([...before, ...types])];
}

function readConcurrency(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > MOST_AT_ONCE) {
    throw new InvalidArgumentError(`Expected a whole number above 0, and at most ${MOST_AT_ONCE}.`);
  }
  return count;
}

function readDuration(text: string): string {
  if (parseDuration(text) === undefined) {
    throw new InvalidArgumentError("Expected a duration such as '7 days', '12 hours' or '30 minutes'.");
  }
  return text;
}
