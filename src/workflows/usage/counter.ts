import { REMEMBERED_BATCHES, usageProblem } from '../../rotation/usage';
import type { UsageReport } from '../../rotation/usage';

/** What was counted. Plain JSON: it goes from run to run. */
export interface Counts {
  uses: number;
  /** Those of {@link uses} that were reported since the version in use was last looked at. */
  recent: number;
  total: number;
  reports: { counted: number; repeated: number; refused: number };
  lastRefusal?: string;
  /** The latest batches, oldest first. */
  batches: string[];
}

export const noCounts = (): Counts => ({
  uses: 0,
  recent: 0,
  total: 0,
  reports: { counted: 0, repeated: 0, refused: 0 },
  batches: [],
});

/** Counts each batch once, as long as it remembers it. */
export class UsageCounter {
  private readonly known: Set<string>;

  constructor(private readonly counts: Counts) {
    this.known = new Set(counts.batches);
  }

  /** @returns why the report was refused. */
  add(report: UsageReport): string | undefined {
    const { counts } = this;
    const problem = usageProblem(report);
    if (problem !== undefined) {
      counts.reports.refused++;
      counts.lastRefusal = problem;
      return problem;
    }
    if (this.known.has(report.batch)) {
      counts.reports.repeated++;
      return undefined;
    }
    this.known.add(report.batch);
    counts.batches.push(report.batch);
    if (counts.batches.length > REMEMBERED_BATCHES) this.known.delete(counts.batches.shift() ?? '');
    counts.reports.counted++;
    counts.uses += report.count;
    counts.recent += report.count;
    counts.total += report.count;
    return undefined;
  }
}
