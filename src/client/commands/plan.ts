import { OperatorError } from '../errors';
import { ExitCode } from '../exit-codes';
import { countsText, policyInForce, policyText, schedulesText } from '../schedules/plan-text';
import { KeyturnSchedules } from '../schedules/schedule-client';
import { wantedSchedules } from '../schedules/wanted';
import { openCatalog, readConfig, withTemporal } from '../session';
import type { Answer, Shell } from '../shell';
import type { Register } from './registration';

export const registerPlan: Register = (program, run) => {
  program
    .command('plan')
    .summary('what apply would change among the schedules')
    .description(
      'Compares the schedules in Temporal with those that the catalog asks for, and shows what keyturn apply would create, change ' +
        'and delete, and the policy of each environment. Changes nothing.',
    )
    .argument('[environment]', 'only this one')
    .option('--check', 'exit code 1 when something would change')
    .action((environment: string | undefined, { check }: { check?: boolean }) =>
      run((shell) => plan(shell, environment, check === true)),
    );
};

const WORDS = {
  create: 'to create',
  change: 'to change',
  delete: 'to delete',
  refuse: 'refused',
  nothing: 'as they should be',
};

async function plan(shell: Shell, environment: string | undefined, check: boolean): Promise<Answer> {
  const config = readConfig(shell.env);
  const catalog = await openCatalog(config);
  const wanted = wantedSchedules(catalog, config.taskQueue, environment);
  const schedules = await withTemporal(config, ({ schedule }) =>
    new KeyturnSchedules(schedule, config.taskQueue).plan(wanted, environment),
  );
  const policies = catalog
    .environments()
    .filter((policy) => environment === undefined || policy.environment === environment)
    .map(policyInForce);
  const result = { policies, schedules };
  const text = [policyText(policies), '', ...schedulesText(schedules), countsText(schedules, WORDS)].join('\n');
  const differing = schedules.filter(({ does }) => does !== 'nothing').length;
  if (!check || differing === 0) return { result, text };
  const message =
    differing === 1
      ? 'One schedule is not as the catalog says. Nothing was changed; to change it: keyturn apply'
      : `${differing} schedules are not as the catalog says. Nothing was changed; to change them: keyturn apply`;
  return { result, text, problem: new OperatorError('SchedulesDiffer', message, ExitCode.Failed, result) };
}
