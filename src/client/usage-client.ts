import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/client';
import { USAGE_SIGNAL, USAGE_WORKFLOW, usageProblem, usageWorkflowId } from '../rotation/usage';
import type { MonitorUsageInput, UsageReport, UsageStatus } from '../rotation/usage';
import { secretIdOf } from '../rotation/names';
import { queryInTime } from './asking';
import { noWorker, OperatorError, UsageError } from './errors';
import { ExitCode } from './exit-codes';
import { inLanes } from '../rotation/in-lanes';
import { isUnanswered } from './temporal-failures';

const LANES = 10;

/** Reports uses and reads their counts over an existing connection, which it does not close. */
export class UsageClient {
  constructor(
    private readonly client: Client,
    private readonly taskQueue: string,
  ) {}

  /**
   * Reports uses. It returns when Temporal has the report, whether or not a worker runs; sent again, it counts once.
   *
   * @throws UsageError for a count or a batch that makes no sense; nothing is counted then.
   */
  async report(of: MonitorUsageInput, report: UsageReport): Promise<void> {
    const { environment, secret } = of;
    const secretId = secretIdOf(environment, secret);
    const problem = usageProblem(report);
    if (problem !== undefined) throw new UsageError(`${problem}. No use of ${secretId} was counted.`);
    await this.client.workflow.signalWithStart(USAGE_WORKFLOW, {
      workflowId: usageWorkflowId(environment, secret),
      taskQueue: this.taskQueue,
      args: [{ environment, secret }],
      signal: USAGE_SIGNAL,
      signalArgs: [report],
      staticSummary: `Count the uses of ${secretId}`,
    });
  }

  /** The counts of those secrets of which uses were reported; in the order of `secrets`. @throws OperatorError `StatusUnanswered` */
  async counts(environment: string, secrets: readonly string[]): Promise<UsageStatus[]> {
    const found: (UsageStatus | undefined)[] = [];
    await inLanes(secrets, LANES, async (secret, index) => {
      found[index] = await this.status(environment, secret);
    });
    return found.filter((status) => status !== undefined);
  }

  private async status(environment: string, secret: string): Promise<UsageStatus | undefined> {
    const handle = this.client.workflow.getHandle(usageWorkflowId(environment, secret));
    try {
      return await queryInTime<UsageStatus>(this.client, handle, 'status');
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      if (!isUnanswered(error)) throw error;
      throw new OperatorError(
        'StatusUnanswered',
        `The counts of ${environment} are not known: ${noWorker(this.taskQueue)} Reports are kept until one does.`,
        ExitCode.Failed,
      );
    }
  }
}
