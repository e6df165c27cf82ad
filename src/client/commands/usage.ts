import type { Catalog, CatalogSecret } from '../../catalog';
import type { UsageStatus } from '../../rotation/usage';
import { openCatalog, readConfig, withTemporal } from '../session';
import type { Answer, Shell } from '../shell';
import { table } from '../table';
import { UsageClient } from '../usage-client';
import type { Register } from './registration';

export const registerUsage: Register = (program, run) => {
  const usage = program
    .command('usage')
    .summary('how often secrets were used, and reporting it')
    .description(
      'Shows how often the versions in use were used, as applications report it and metrics tell, and reports uses.',
    );
  usage
    .command('show', { isDefault: true })
    .summary('how often secrets were used')
    .description('Shows the uses of the version in use, and the number at which it is rotated.')
    .argument('<environment>', 'such as production')
    .argument('[secret]', 'its name below the environment; all of which uses were reported when absent')
    .action((environment: string, secret?: string) => run((shell) => show(shell, environment, secret)));
  usage
    .command('report')
    .summary('report uses of a secret')
    .description('Reports uses of a secret. Sent again with the same --batch, they count once.')
    .argument('<environment>', 'such as production')
    .argument('<secret>', 'its name below the environment')
    .requiredOption('--count <n>', 'how many uses since the report before')
    .requiredOption('--batch <id>', 'names this report, such as a UUID')
    .action((environment: string, secret: string, options: { count: string; batch: string }) =>
      run((shell) => report(shell, environment, secret, options)),
    );
};

async function show(shell: Shell, environment: string, secret?: string): Promise<Answer> {
  const config = readConfig(shell.env);
  const catalog = await openCatalog(config);
  const names = namesOf(catalog, environment, secret);
  const secrets = await withTemporal(config, (client) =>
    new UsageClient(client, config.taskQueue).counts(environment, names),
  );
  const of = secret === undefined ? environment : `${environment}/${secret}`;
  const notCounted = catalog
    .secrets(environment)
    .filter((declared) => names.includes(declared.secret) && isNotCounted(declared, secrets));
  const text = [
    secrets.length === 0 ? `No uses of ${of} were reported.` : countsText(secrets),
    ...notCounted.map(
      ({ secret: name }) => `${name}: its metric is not counted yet. The schedule that sees to it: keyturn apply`,
    ),
  ].join('\n');
  return { result: { environment, secrets, notCounted: notCounted.map((declared) => declared.secret) }, text };
}

async function report(
  shell: Shell,
  environment: string,
  secret: string,
  { count, batch }: { count: string; batch: string },
): Promise<Answer> {
  const config = readConfig(shell.env);
  namesOf(await openCatalog(config), environment, secret);
  // Number('') is 0 and Number('0x10') 16: neither is a count that anybody means.
  const uses = /^\d+$/.test(count) ? Number(count) : NaN;
  await withTemporal(config, (client) =>
    new UsageClient(client, config.taskQueue).report({ environment, secret }, { batch, count: uses }),
  );
  return {
    result: { environment, secret, batch, count: uses },
    text: `${uses} uses of ${environment}/${secret} are reported.\nSee the counts: keyturn usage ${environment} ${secret}`,
  };
}

/** The catalog names a metric, and nobody counts it. */
function isNotCounted({ secret, usesMetric }: CatalogSecret, counted: readonly UsageStatus[]): boolean {
  return usesMetric !== undefined && !counted.some((status) => status.secret === secret && status.metric !== undefined);
}

/** @throws UnknownSecretError */
function namesOf(catalog: Catalog, environment: string, secret?: string): string[] {
  if (secret === undefined) return catalog.secrets(environment).map((declared) => declared.secret);
  return [catalog.plan(environment, secret).secret];
}

function countsText(secrets: UsageStatus[]): string {
  return [
    table([
      ['SECRET', 'USES', 'ROTATED AT', 'TOTAL', 'REPORTS', 'REPEATED', 'REFUSED', 'ROTATION'],
      ...secrets.map(({ secret, uses, limit, total, reports, rotation, rotations }) => [
        secret,
        String(uses),
        limit === undefined ? 'never' : String(limit),
        String(total),
        String(reports.counted),
        String(reports.repeated),
        String(reports.refused),
        rotation ? `runs since ${rotation.startedAt}` : `${rotations} so far`,
      ]),
    ]),
    ...secrets.flatMap(({ secret, problem, lastRefusal, metric }) => [
      ...(metric ? metricLines(metric).map((line) => `${secret}: ${line}`) : []),
      ...(problem ? [`${secret}: ${problem.message} Tried again at ${problem.retryAt}.`] : []),
      ...(lastRefusal ? [`${secret}: the last report that was refused: ${lastRefusal}.`] : []),
    ]),
  ].join('\n');
}

function metricLines({ name, total, countedUntil, lost, problem }: NonNullable<UsageStatus['metric']>): string[] {
  return [
    countedUntil === undefined
      ? `${name} was not read yet.`
      : `${total} of the total are from ${name}, counted until ${countedUntil}.`,
    ...(lost ? [`${name} was not counted from ${lost.from} to ${lost.until}: too old when it could be read.`] : []),
    ...(problem ? [`${problem.message} Tried again at ${problem.retryAt}.`] : []),
  ];
}
