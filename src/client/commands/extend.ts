import { randomUUID } from 'node:crypto';
import { parseDuration } from '../../rotation/durations';
import { UsageError } from '../errors';
import { operatorName } from '../operator';
import { requestAnswer } from '../request-answer';
import { parseSecretArgument } from '../secret-argument';
import { readConfig, withKeyturn } from '../session';
import type { Register } from './registration';

interface ExtendOptions {
  by?: string;
  until?: string;
  reason?: string;
}

export const registerExtend: Register = (program, run) => {
  program
    .command('extend')
    .summary('move the end of a grace period')
    .description('Moves the end of a running grace period. Refused (exit code 3) outside of one.')
    .argument('<secret>', '<environment>/<name>')
    .option('--by <duration>', "from the end in force, such as '3 days'")
    .option('--until <time>', 'an ISO 8601 time with its offset, such as 2030-01-31T12:00:00Z')
    .option('--reason <text>', 'why, for the audit trail')
    .action((text: string, options: ExtendOptions) =>
      run((shell) => {
        const { environment, secret, secretId } = parseSecretArgument(text);
        const request = {
          ...newEnd(options),
          requestId: randomUUID(),
          reason: options.reason,
          requestedBy: operatorName(shell.env),
        };
        return withKeyturn(readConfig(shell.env), async (keyturn) =>
          requestAnswer(secretId, await keyturn.extendGracePeriod(environment, secret, request)),
        );
      }),
    );
};

/** Without an offset a time would mean something else on the worker than here. */
const ISO_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/;

function newEnd({ by, until }: ExtendOptions): Pick<ExtendOptions, 'by' | 'until'> {
  if (by !== undefined && until === undefined) {
    if (!parseDuration(by))
      throw new UsageError(`'${by}' is not a duration. Expected one such as '3 days' or '12 hours'.`);
    return { by };
  }
  if (until !== undefined && by === undefined) {
    const time = ISO_TIME.test(until) ? Date.parse(until) : NaN;
    if (Number.isNaN(time)) {
      throw new UsageError(
        `'${until}' is not an ISO 8601 time with its offset. Expected one such as 2030-01-31T12:00:00Z.`,
      );
    }
    return { until: new Date(time).toISOString() };
  }
  throw new UsageError("Give either --by '3 days' or --until 2030-01-31T12:00:00Z.");
}
