import { UsageError } from '../errors';
import { aboutSecret, emergenciesText, runsText, runText } from '../environment-text';
import { followFleet } from '../fleet';
import { FleetNotRunning } from '../fleet-errors';
import { parseSecretArgument } from '../secret-argument';
import { openCatalog, readConfig, withKeyturn } from '../session';
import type { Answer, Shell } from '../shell';
import { note, usesColour } from '../shell';
import { reportText, runningText } from '../report-text';
import { follow } from '../start-and-follow';
import { reportAt } from '../rotation-report';
import type { Register } from './registration';

export const registerStatus: Register = (program, run) => {
  program
    .command('status')
    .summary('what runs, or where one rotation stands')
    .description(
      'Lists what runs: fleets, backups and restores of whole environments, and single rotations; with an environment what runs there. ' +
        'With a secret it shows its latest rotation, running or ended.',
    )
    .argument('[what]', '<environment>, or <environment>/<name>')
    .option(
      '--follow',
      "wait for the end of a running rotation, showing its steps, or of an environment's fleet, an emergency first",
    )
    .action((what: string | undefined, { follow: wait = false }: { follow?: boolean }) =>
      run((shell) => {
        if (what === undefined) return listRunning(shell, wait);
        return what.includes('/') ? showOne(shell, what, wait) : showEnvironment(shell, what, wait);
      }),
    );
};

async function listRunning(shell: Shell, wait: boolean): Promise<Answer> {
  if (wait) throw new UsageError('--follow goes with an environment or a secret.');
  return withKeyturn(readConfig(shell.env), async (keyturn) => {
    const [environments, running] = await Promise.all([keyturn.environments.all(), keyturn.running()]);
    const text = [...(environments.length > 0 ? [runsText(environments), ''] : []), runningText(running)].join('\n');
    return { result: { environments, running }, text };
  });
}

async function showEnvironment(shell: Shell, environment: string, wait: boolean): Promise<Answer> {
  const config = readConfig(shell.env);
  await refuseUnknown(environment, () => openCatalog(config));
  return withKeyturn(config, async (keyturn) => {
    const runs = await keyturn.environments.of(environment);
    const [fleet, another] = runs.filter(({ kind }) => kind === 'fleet');
    if (wait) {
      if (!fleet) throw new FleetNotRunning({ environment });
      if (another) {
        note(shell, `This follows the emergency. The ordinary rotation that it stops: keyturn status ${environment}`);
      }
      return followFleet(shell, keyturn, fleet);
    }
    const [running, emergencies] = await Promise.all([
      keyturn.running(environment),
      keyturn.emergencies.of(environment),
    ]);
    const text = [
      ...(runs.length > 0
        ? runs.map(runText)
        : [
            `No fleet, backup or restore of ${environment} is running. How old its secrets are: keyturn ages ${environment}`,
          ]),
      ...emergenciesText(emergencies),
      runningText(running),
    ].join('\n\n');
    return { result: { environment, environments: runs, running, emergencies }, text };
  });
}

/** That nothing runs under a misspelt name would be no comfort. Without a catalog at hand, it is shown all the same. */
async function refuseUnknown(environment: string, open: () => ReturnType<typeof openCatalog>): Promise<void> {
  const catalog = await open().catch(() => undefined);
  const known = catalog?.environments().map(({ environment: name }) => name);
  if (!known || known.includes(environment)) return;
  throw new UsageError(
    `'${environment}' is no environment of the catalog, which declares ${known.join(', ')}, and names no secret. Expected <environment>/<name>, such as dev/database/app, or an environment.\nSee what runs: keyturn status`,
  );
}

async function showOne(shell: Shell, text: string, wait: boolean): Promise<Answer> {
  const { environment, secret, secretId } = parseSecretArgument(text);
  return withKeyturn(readConfig(shell.env), async (keyturn) => {
    const report = await keyturn.status(environment, secret);
    if (wait && report.execution === 'running') {
      const { workflowId, runId } = report;
      return follow(shell, keyturn, { environment, secret, secretId, workflowId, runId });
    }
    const [[fleet], emergencies] = await Promise.all([
      keyturn.environments.of(environment, ['fleet']),
      keyturn.emergencies.ofSecret(environment, secret),
    ]);
    return {
      result: {
        ...reportAt(report, Date.now()),
        ...(fleet && { fleet }),
        ...(emergencies.length > 0 && { emergencies }),
      },
      text: [
        reportText(report, usesColour(shell.env, shell.stdout)),
        ...aboutSecret(secretId, fleet, emergencies),
      ].join('\n'),
    };
  });
}
