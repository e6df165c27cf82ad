import type { DescribeSecretCommandOutput } from '@aws-sdk/client-secrets-manager';
import type { StagingLabels } from '../../rotation/types';

/** Secrets Manager's own names of the labels. */
export const LABEL = { current: 'AWSCURRENT', previous: 'AWSPREVIOUS', pending: 'AWSPENDING' } as const;

/** The versions that carry the labels. */
export function labelsOf(secret: DescribeSecretCommandOutput): StagingLabels {
  const versionWith = (label: string) =>
    Object.entries(secret.VersionIdsToStages ?? {}).find(([, stages]) => stages.includes(label))?.[0];
  return {
    current: versionWith(LABEL.current),
    previous: versionWith(LABEL.previous),
    pending: versionWith(LABEL.pending),
  };
}
