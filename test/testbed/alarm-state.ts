import type { CloudWatchClient, MetricAlarm } from '@aws-sdk/client-cloudwatch';
import { GetMetricStatisticsCommand } from '@aws-sdk/client-cloudwatch';

/**
 * The state that CloudWatch gives an alarm at some time, by the CloudWatch User Guide, 'Evaluating an alarm' and 'Configuring how
 * CloudWatch alarms treat missing data'. Here because neither moto nor ministack looks at an alarm's dimensions and periods.
 *
 * @param at in the last of the periods that are looked at
 */
export async function stateOfAlarm(
  cloudWatch: CloudWatchClient,
  alarm: MetricAlarm,
  at: Date,
): Promise<'OK' | 'ALARM'> {
  const { Statistic, Period = 0, EvaluationPeriods = 0, DatapointsToAlarm = EvaluationPeriods } = alarm;
  if (!Statistic) throw new Error(`${alarm.AlarmName} has no statistic`);
  const periodMs = Period * 1_000;
  const end = Math.floor(at.getTime() / periodMs) * periodMs + periodMs;
  const start = end - EvaluationPeriods * periodMs;
  const { Datapoints = [] } = await cloudWatch.send(
    new GetMetricStatisticsCommand({
      Namespace: alarm.Namespace,
      MetricName: alarm.MetricName,
      Dimensions: alarm.Dimensions,
      StartTime: new Date(start),
      EndTime: new Date(end),
      Period,
      Statistics: [Statistic],
    }),
  );
  const breaching = Array.from({ length: EvaluationPeriods }, (_, n) => {
    const [from, to] = [start + n * periodMs, start + (n + 1) * periodMs];
    const value = Datapoints.find(({ Timestamp }) => {
      const time = Timestamp?.getTime() ?? 0;
      return time >= from && time < to;
    })?.[Statistic];
    return value === undefined ? missingIsBreaching(alarm) : breaches(alarm, value);
  });
  return breaching.filter(Boolean).length >= DatapointsToAlarm ? 'ALARM' : 'OK';
}

function missingIsBreaching({ AlarmName, TreatMissingData }: MetricAlarm): boolean {
  if (TreatMissingData === 'breaching') return true;
  if (TreatMissingData === 'notBreaching') return false;
  throw new Error(`${AlarmName} leaves open what missing data mean`);
}

function breaches({ AlarmName, ComparisonOperator, Threshold = NaN }: MetricAlarm, value: number): boolean {
  if (ComparisonOperator === 'LessThanThreshold') return value < Threshold;
  if (ComparisonOperator === 'GreaterThanThreshold') return value > Threshold;
  throw new Error(`${AlarmName} compares by ${ComparisonOperator}, which no alarm of Keyturn did before`);
}
