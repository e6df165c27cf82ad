import { isOfVersion, METRIC_LOOK_BACK_MS, nextClosedAt, nextSpan } from '../src/rotation/usage-metric';
import type { MetricProgress, MetricSpan, UsageMetric } from '../src/rotation/usage-metric';

const MINUTE = 60_000;
const NOON = Date.UTC(2026, 1, 28, 12);
const metricOf = (minutes: number, settleMinutes = 0): UsageMetric => ({
  namespace: 'Shop',
  metric: 'Uses',
  dimensions: {},
  periodMs: minutes * MINUTE,
  settleMs: settleMinutes * MINUTE,
});
const at = (minutes: number) => NOON + minutes * MINUTE;

/** Counts to the end, as the monitor does. */
function spansOf(progress: MetricProgress, metric: UsageMetric, now: number): MetricSpan[] {
  const spans: MetricSpan[] = [];
  let span: MetricSpan | undefined;
  while ((span = nextSpan(progress, metric, now))) {
    spans.push(span);
    progress.countedUntil = span.until;
  }
  return spans;
}

test('a period is counted when it has ended and its data have settled, and not before', () => {
  const metric = metricOf(5, 15);
  const progress = { countedUntil: at(0), since: at(0) };
  expect(nextClosedAt(progress.countedUntil, metric)).toBe(at(20));
  expect(nextSpan(progress, metric, at(20) - 1)).toBeUndefined();
  expect(nextSpan(progress, metric, at(20))).toEqual({ from: at(0), until: at(5), periodMs: 5 * MINUTE });
});

test('whenever it is asked, and however often, periods follow one another without a gap and without an overlap', () => {
  const progress = { countedUntil: at(-60), since: at(-10_000) };
  let counted = at(-60);
  for (let now = at(-60); now < at(3_000); now += 17 * 1_000 * (1 + (now % 7))) {
    for (const span of spansOf(progress, metricOf([1, 5, 15, 60][now % 4] ?? 1, 3), now)) {
      expect(span.from).toBe(counted);
      expect((span.until - span.from) % span.periodMs).toBe(0);
      expect(span.from % span.periodMs).toBe(0);
      expect(span.until).toBeLessThanOrEqual(now - 3 * MINUTE);
      counted = span.until;
    }
  }
  expect(counted).toBeGreaterThan(at(2_900));
});

test('a changed period is taken up at its next beginning, and the minutes until then are counted as well', () => {
  expect(spansOf({ countedUntil: at(7), since: at(0) }, metricOf(15), at(50))).toEqual([
    { from: at(7), until: at(15), periodMs: MINUTE },
    { from: at(15), until: at(45), periodMs: 15 * MINUTE },
  ]);
});

test('periods before a version are told from its own; the one in which it came is its own', () => {
  const progress = { countedUntil: at(0), since: at(12) + 1 };
  const spans = spansOf(progress, metricOf(5), at(60));
  expect(spans).toEqual([
    { from: at(0), until: at(10), periodMs: 5 * MINUTE },
    { from: at(10), until: at(60), periodMs: 5 * MINUTE },
  ]);
  expect(spans.map((span) => isOfVersion(span, progress))).toEqual([false, true]);
});

test('nothing is read that is older than two weeks', () => {
  const metric = metricOf(1_440);
  const [first] = spansOf({ countedUntil: 0, since: 0 }, metric, at(0));
  expect(first?.from).toBe(Date.UTC(2026, 1, 15));
  expect(at(0) - (first?.from ?? 0)).toBeLessThanOrEqual(METRIC_LOOK_BACK_MS);
});
