import type { AuditLog } from '../activities/audit/audit-log';

/** As many rotations as are looked at, the newest. */
const LOOKED_AT = 10_000;

/** Who asked for the rotation that made each version, by VersionId, as far as the audit log's newest records tell. */
export async function rotatedBy(
  log: Pick<AuditLog, 'list'>,
  environment: string,
): Promise<ReadonlyMap<string, string>> {
  const records = await log.list({ environment, what: 'recordOutcome', limit: LOOKED_AT });
  return new Map(
    records.flatMap(({ entry: { who, input } }): [string, string][] => {
      const { outcome, versions } = (input ?? {}) as { outcome?: string; versions?: { current?: string } };
      return versions?.current !== undefined && outcome === 'rotated' ? [[versions.current, who]] : [];
    }),
  );
}
