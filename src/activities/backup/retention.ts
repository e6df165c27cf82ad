import type { LifecycleRule } from '@aws-sdk/client-s3';
import { backupPrefix } from '../../rotation/backup';

const DAY_MS = 86_400_000;

/**
 * What is wrong between how long backups are to be kept and the bucket's own rules; empty when they fit. Keyturn never deletes a
 * backup: whoever gets hold of the worker could delete all of them.
 */
export function retentionWarnings(
  environment: string,
  bucket: string,
  keepMs: number,
  rules: LifecycleRule[] | undefined,
): string[] {
  if (!rules) return [];
  const keepDays = Math.ceil(keepMs / DAY_MS);
  const days = rules
    .filter((rule) => rule.Status === 'Enabled' && backupPrefix(environment).startsWith(prefixOf(rule)))
    .flatMap(({ Expiration }) => Expiration?.Days ?? []);
  if (days.length === 0) {
    return [
      `No lifecycle rule of the bucket ${bucket} removes old backups of ${environment}: all are kept. The catalog says ${keepDays} days; deploy/aws/backup-bucket.yaml has such a rule.`,
    ];
  }
  const shortest = Math.min(...days);
  if (shortest >= keepDays) return [];
  return [
    `A lifecycle rule of the bucket ${bucket} removes backups of ${environment} after ${shortest} days, and the catalog says to keep them for ${keepDays}. Correct one of the two.`,
  ];
}

function prefixOf({ Filter, Prefix }: LifecycleRule): string {
  return Filter?.Prefix ?? Filter?.And?.Prefix ?? Prefix ?? '';
}
