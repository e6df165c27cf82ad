import { OperatorError } from '../errors';
import { ExitCode } from '../exit-codes';
import { countsText, schedulesText } from '../schedules/plan-text';
import type { AppliedSchedule } from '../schedules/schedule-client';
import { KeyturnSchedules } from '../schedules/schedule-client';
import { wantedSchedules } from '../schedules/wanted';
import { openCatalog, readConfig, withTemporal } from '../session';
import type { Answer, Shell } from '../shell';
import type { Register } from './registration';

export const registerApply: Register = (program, run) => {
  program
    .command('apply')
    .summary('make the schedules what the catalog says')
    .description(
      "Creates, changes and deletes Temporal's schedules until they are what the catalog says. Touches only schedules that it has " +
        'created itself, keeps those paused that an operator has paused, and writes nothing where nothing differs.',
    )
    .argument('[environment]', 'only this one')
    .action((environment: string | undefined) => run((shell) => apply(shell, environment)));
};

const WORDS = {
  create: 'created',
  change: 'changed',
  delete: 'deleted',
  refuse: 'refused',
  nothing: 'as they should be',
};

async function apply(shell: Shell, environment: string | undefined): Promise<Answer> {
  const config = readConfig(shell.env);
  const wanted = wantedSchedules(await openCatalog(config), config.taskQueue, environment);
  const schedules = await withTemporal(config, async ({ schedule }) => {
    const client = new KeyturnSchedules(schedule, config.taskQueue);
    return client.apply(wanted, await client.plan(wanted, environment));
  });
  const done = schedules.filter(({ failure }) => failure === undefined);
  const text = [...schedulesText(schedules), countsText(done, WORDS)].join('\n');
  const problem = problemOf(schedules);
  return { result: { schedules }, text, ...(problem && { problem }) };
}

function problemOf(schedules: AppliedSchedule[]): OperatorError | undefined {
  const failed = schedules.filter(({ failure }) => failure !== undefined).length;
  const refused = schedules.filter(({ does }) => does === 'refuse').length;
  const counts = [...(failed > 0 ? [`${failed} failed`] : []), ...(refused > 0 ? [`${refused} refused`] : [])];
  if (counts.length === 0) return undefined;
  return new OperatorError(
    'SchedulesIncomplete',
    `Not all schedules are as the catalog says: ${counts.join(', ')}; each says why. The others were applied. Mend it and apply again: keyturn apply`,
    ExitCode.Failed,
    { schedules },
  );
}
