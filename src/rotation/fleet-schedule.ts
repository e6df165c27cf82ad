import type { FleetPolicy, FleetSecret } from './fleet';

/** Whether a rotation may start beside those that run; it only compares names and counts. */
function mayStart(candidate: FleetSecret, running: readonly FleetSecret[], policy: FleetPolicy): boolean {
  if (running.length >= policy.concurrency) return false;
  const onTarget = running.filter(({ target }) => target !== undefined && target === candidate.target);
  if (onTarget.length >= policy.perTarget) return false;
  const restarts = running.reduce((sum, { restarts }) => sum + restarts, 0);
  // One that restarts more than may be at once runs when no other one restarts anything.
  if (candidate.restarts > 0 && restarts > 0 && restarts + candidate.restarts > policy.maxRestartsAtOnce) return false;
  return !running.some((other) => collide(candidate, other));
}

function collide(one: FleetSecret, other: FleetSecret): boolean {
  return (
    one.alone.some((name) => other.alone.includes(name) || other.uses.includes(name)) ||
    one.uses.some((name) => other.alone.includes(name))
  );
}

/**
 * Which of those that wait may start now, in their order; each of them is counted as running for those behind it.
 *
 * @param besides what somebody else's rotations are changing: nothing that collides with it starts, and it takes nobody's place.
 */
export function startable(
  waiting: readonly FleetSecret[],
  running: readonly FleetSecret[],
  policy: FleetPolicy,
  besides: readonly FleetSecret[] = [],
): FleetSecret[] {
  const started: FleetSecret[] = [];
  const under = [...running];
  for (const candidate of waiting) {
    if (under.length >= policy.concurrency) break;
    if (!mayStart(candidate, under, policy) || besides.some((other) => collide(candidate, other))) continue;
    started.push(candidate);
    under.push(candidate);
  }
  return started;
}

/**
 * The same secrets with short names for what they share; what only one of them names keeps nothing apart, and is left out. Such names are
 * only compared, and each may be as long as a host's, while the state of a fleet of thousands has to fit into one payload.
 */
export function abbreviated(secrets: readonly FleetSecret[]): FleetSecret[] {
  const users = new Map<string, number>();
  for (const { alone, uses } of secrets) {
    for (const name of new Set([...alone, ...uses])) users.set(name, (users.get(name) ?? 0) + 1);
  }
  const shared = [...users].filter(([, count]) => count > 1);
  const short = new Map(shared.map(([name], n) => [name, n.toString(36)]));
  const shortOf = (names: readonly string[]) => names.flatMap((name) => short.get(name) ?? []);
  return secrets.map((secret) => ({ ...secret, alone: shortOf(secret.alone), uses: shortOf(secret.uses) }));
}

/** What does not exist yet comes first, then the oldest; the name decides between equals, so that the order is always the same. */
export function oldestFirst(secrets: readonly FleetSecret[]): FleetSecret[] {
  return [...secrets].sort(
    (a, b) => (a.changedAt ?? 0) - (b.changedAt ?? 0) || (a.secret < b.secret ? -1 : a.secret > b.secret ? 1 : 0),
  );
}

/** One that was started, on a target system or over all; `failed` is absent while it runs. */
interface Attempt {
  secret: string;
  failed?: boolean;
}

/** The attempts since the last success, in the order of their starts, for all and for each target system. Plain JSON. */
export type Attempts = Record<string, Attempt[]>;

const OVER_ALL = '';

const lanesOf = ({ target }: FleetSecret) => (target === undefined ? [OVER_ALL] : [OVER_ALL, target]);

export function noteStart(attempts: Attempts, secret: FleetSecret): void {
  for (const lane of lanesOf(secret)) (attempts[lane] ??= []).push({ secret: secret.secret });
}

/** @param failed absent when it says nothing of the target, as for one that an operator aborted. */
export function noteEnd(attempts: Attempts, secret: FleetSecret, failed: boolean | undefined): void {
  for (const lane of lanesOf(secret)) {
    const list = attempts[lane] ?? [];
    const at = list.findIndex((attempt) => attempt.secret === secret.secret);
    const attempt = list[at];
    if (!attempt) continue;
    if (failed) attempt.failed = true;
    // A success ends every row of failures that began before it.
    else list.splice(failed === false ? 0 : at, failed === false ? at + 1 : 1);
  }
}

/**
 * The secrets of a row of failures that is too long, one started after the other. Their starts count and not their ends: where some
 * are slow to fail they end together, long after others have succeeded.
 *
 * @param target a target system; over all when absent.
 */
export function tooManyFailures(
  attempts: Attempts,
  { stopAfterFailures }: FleetPolicy,
  target: string = OVER_ALL,
): string[] | undefined {
  let row: string[] = [];
  for (const { secret, failed } of attempts[target] ?? []) {
    row = failed ? [...row, secret] : [];
    if (row.length >= stopAfterFailures) return row;
  }
  return undefined;
}
