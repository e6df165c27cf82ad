import type { ReviewInterval } from '../rotation/review';
import { everyOf, type Calendar } from './calendar';
import type { EnvironmentSchedules } from './schedules';

const MONDAY = 1;
const FIRST_WEEK = [1, 2, 3, 4, 5, 6, 7];

const DAYS: Record<ReviewInterval, Pick<Calendar, 'daysOfMonth' | 'months'>> = {
  weekly: { daysOfMonth: everyOf('daysOfMonth'), months: everyOf('months') },
  monthly: { daysOfMonth: FIRST_WEEK, months: everyOf('months') },
  quarterly: { daysOfMonth: FIRST_WEEK, months: [1, 4, 7, 10] },
  yearly: { daysOfMonth: FIRST_WEEK, months: [1] },
};

/**
 * When a review is due: on Mondays, so that it is read on a working day; else on the first Monday of the month, of the
 * quarter, of the year. At the hour of the weekly run.
 */
export function reviewCalendar(
  interval: ReviewInterval,
  { weeklyRun }: Pick<EnvironmentSchedules, 'weeklyRun'>,
): Calendar {
  const { minutes, hours } = weeklyRun ?? { minutes: [0], hours: [2] };
  return { minutes, hours, ...DAYS[interval], daysOfWeek: [MONDAY] };
}
