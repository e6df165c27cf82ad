import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { UpdateSecretCommand } from '@aws-sdk/client-secrets-manager';
import { emergencyWorkflowId } from '../../src/rotation/emergency';
import type { KeyturnEvent } from '../../src/rotation/events';
import { EVENT_WORKFLOW, eventWorkflowId } from '../../src/rotation/events';
import type { Run } from '../testbed/scan';
import type { Testbed } from '../testbed/testbed';
import { until } from '../testbed/until';

/** One of each kind of event, and a leak while the secret is being rotated. */
export function eventRecordings(bed: Testbed): Record<string, () => Promise<Run>> {
  const { environment } = bed;
  const at = '2030-01-31T08:00:00Z';
  const by = 'arn:aws:iam::123456789012:user/ada';

  const start = (event: KeyturnEvent) =>
    bed.client.workflow.start(EVENT_WORKFLOW, {
      taskQueue: bed.taskQueue,
      workflowId: eventWorkflowId(event, 'INC-1'),
      args: [event],
    });
  type Started = Awaited<ReturnType<typeof start>>;

  async function ended(handle: Started): Promise<Run> {
    await handle.result();
    return { workflowId: handle.workflowId, runId: handle.firstExecutionRunId };
  }

  const leakOf = (secret: string, rotate: boolean): KeyturnEvent => ({
    kind: 'leak',
    environment,
    secret,
    reason: 'seen in a build log',
    rotate,
  });

  async function declared(secret: string): Promise<string> {
    await bed.declare({ [secret]: { type: 'app-secret' } });
    await bed.rotate(secret);
    return secret;
  }

  return {
    'event-leak': async () => ended(await start(leakOf(await declared('leaked'), true))),
    'event-leak-told': async () => ended(await start(leakOf(await declared('leaked-told'), false))),
    'event-leak-told-by-the-routes': async () => {
      const secret = await declared('leaked-routed');
      await bed.declareNotifications({ channels: { log: { type: 'log' } }, routes: [{ channels: ['log'] }] });
      const { runId } = await ended(await start(leakOf(secret, false)));
      const workflowId = `notification/${bed.secrets.idOf(secret)}/leak-reported/${runId}`;
      const told = bed.client.workflow.getHandle(workflowId);
      await told.result();
      return { workflowId, runId: (await told.describe()).runId };
    },
    'event-leak-while-one-runs': async () => {
      const secret = await declared('leaked-while-rotated');
      const point = { secretId: bed.secrets.idOf(secret), step: 'promote', when: 'before' } as const;
      await bed.pauses.stopAt(point);
      const rotation = await bed.start(secret);
      await bed.pauses.reached(point);
      const handle = await start(leakOf(secret, true));
      const refused = bed.client.workflow.getHandle(`${handle.workflowId}/rotate-1`);
      await until('the first try is refused', async () =>
        refused.describe().then(
          ({ status }) => status.name === 'FAILED',
          () => false,
        ),
      );
      await bed.pauses.goOn(point);
      await rotation.result();
      return ended(handle);
    },
    'front-door-in-an-emergency': async () => {
      const secret = await declared('rotated-again');
      const point = { secretId: bed.secrets.idOf(secret), step: 'promote', when: 'before' } as const;
      await bed.pauses.stopAt(point);
      const rotation = await bed.start(secret);
      await bed.pauses.reached(point);
      const handle = await bed.client.workflow.start('rotate', {
        taskQueue: bed.taskQueue,
        workflowId: emergencyWorkflowId(environment, secret),
        args: [{ environment, secret, emergency: true, reason: 'INC-2', requestedBy: 'night shift' }],
      });
      await until('it has looked at what is in the way', async () =>
        (await handle.fetchHistory()).events?.some(
          ({ timerStartedEventAttributes: timer }) => timer !== null && timer !== undefined,
        ),
      );
      await bed.pauses.goOn(point);
      await rotation.result();
      return ended(handle);
    },
    'event-foreign-change': async () => {
      const secret = await declared('changed');
      return ended(await start({ kind: 'foreign-change', environment, secret, operation: 'PutSecretValue', by, at }));
    },
    'event-kms-key': async () => {
      const secret = await declared('encrypted');
      const kms = new KMSClient({});
      const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
      kms.destroy();
      const keyId = KeyMetadata?.KeyId ?? '';
      await bed.secretsManager.send(new UpdateSecretCommand({ SecretId: bed.secrets.idOf(secret), KmsKeyId: keyId }));
      return ended(await start({ kind: 'kms-key', keyId, change: 'disabled', by, at }));
    },
  };
}
