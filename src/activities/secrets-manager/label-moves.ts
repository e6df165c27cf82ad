import { UpdateSecretVersionStageCommand } from '@aws-sdk/client-secrets-manager';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../rotation/errors';
import type { LabelMove, StagingLabels } from '../../rotation/types';
import { failure } from '../failures';
import type { SecretsManagerCalls } from './calls';
import { LABEL } from './staging-labels';
import type { SecretStore } from './store';

/**
 * Moves labels so that a move can be repeated, and is refused where somebody else has moved the label.
 *
 * @param labelsNow where the labels of a secret are at this moment; `undefined` when there is no such secret.
 */
export function createLabelMoves(
  client: Pick<SecretsManagerClient, 'send'>,
  { call }: Pick<SecretsManagerCalls, 'call'>,
  labelsNow: (secretId: string) => Promise<StagingLabels | undefined>,
): Pick<SecretStore, 'moveLabels'> {
  const whereIs = async (secretId: string, label: keyof StagingLabels) => (await labelsNow(secretId))?.[label];

  /**
   * One label's move, with both ends named, so that Secrets Manager refuses it when the label is elsewhere. The move is tried before
   * the labels are looked at: what is read may be older than what was written (AWS: 'eventual consistency').
   */
  async function moveLabel(secretId: string, { label, from, to }: LabelMove): Promise<void> {
    const parameters = {
      SecretId: secretId,
      VersionStage: LABEL[label],
      RemoveFromVersionId: from,
      MoveToVersionId: to,
    };
    // A label put on from nowhere names one end only, so nothing would refuse to put it on twice.
    if (from === undefined && (await whereIs(secretId, label)) === to) return;
    try {
      await call(secretId, 'UpdateSecretVersionStage', () =>
        client.send(new UpdateSecretVersionStageCommand(parameters)),
      );
    } catch (error) {
      if (!(error instanceof ApplicationFailure) || error.type !== Cause.SecretUnusable) throw error;
      const at = await whereIs(secretId, label);
      if (at === to || label !== 'current') return;
      throw failure(
        Cause.LabelsMoved,
        `${LABEL[label]} of ${secretId} is on version ${at ?? 'none'}, where this rotation did not put it; it was left there. Somebody else changes this secret: agree with them, then move the label by hand or rotate again.`,
      );
    }
  }

  return {
    async moveLabels(secretId, moves) {
      for (const move of moves) {
        if (move.from === move.to) continue;
        // A label that is only added is looked for first: Secrets Manager refuses one that is there, and moto attaches it twice.
        if (move.from === undefined && (await whereIs(secretId, move.label)) === move.to) continue;
        await moveLabel(secretId, move);
      }
    },
  };
}
