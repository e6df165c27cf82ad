/** Lets so many works run at once; the others wait in order. */
export class Slots {
  private readonly waiting: (() => void)[] = [];
  private stopped?: { reason: unknown };

  /** @param stopsAtFailure lets none begin any more once one has failed. */
  constructor(
    private free: number,
    private readonly stopsAtFailure: boolean,
  ) {}

  /** Those that have not begun fail with this reason instead. */
  stop(reason: unknown): void {
    this.stopped ??= { reason };
  }

  async run(work: () => Promise<void>): Promise<void> {
    if (this.free === 0) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.free--;
    try {
      if (this.stopped) throw this.stopped.reason;
      await work();
    } catch (error) {
      if (this.stopsAtFailure) this.stop(error);
      throw error;
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.free++;
    }
  }
}
