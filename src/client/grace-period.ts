import { formatDuration } from '../rotation/durations';
import type { RotationStatus } from '../rotation/types';

/** Something that an operator can type now. */
export interface NextCommand {
  what: string;
  command: string;
}

/** Whether both credentials work and the rotation waits; `graceEndsAt` alone also stands in a rotation that is past it. */
function inGracePeriod(status: RotationStatus): status is RotationStatus & { graceEndsAt: string } {
  return status.phase === 'grace-period' && status.graceEndsAt !== undefined;
}

/** How long the grace period still lasts, in milliseconds; `undefined` outside of one. */
export function graceLeftMs(status: RotationStatus, now: number): number | undefined {
  return inGracePeriod(status) ? Math.max(0, Date.parse(status.graceEndsAt) - now) : undefined;
}

/** `Grace period until 2030-01-31T12:00:00.000Z (6 d 23 h left)`; `undefined` outside of one. */
export function graceText(status: RotationStatus, now: number): string | undefined {
  const left = graceLeftMs(status, now);
  return left === undefined ? undefined : `Grace period until ${status.graceEndsAt} (${formatDuration(left)} left)`;
}

/** An API key is promoted after its grace period, which may then go on until the old key is no longer used. */
function awaitsPromotion({ type, steps }: RotationStatus): boolean {
  return type === 'api-key' && !steps.some(({ name, state }) => name === 'promote' && state === 'done');
}

/** How a grace period stands: its end, how far that can be moved, and who gets which key; empty outside of one. */
export function graceLines(status: RotationStatus, now: number): string[] {
  const text = graceText(status, now);
  if (text === undefined) return [];
  const { graceEndsLatest, phaseInPercent } = status;
  const lines = [text];
  if (graceEndsLatest) lines.push(`Can be moved to ${graceEndsLatest} at the latest`);
  if (awaitsPromotion(status)) lines.push(`Phase-in: the new key gets ${phaseInPercent ?? 0} % of use`);
  return lines;
}

/** What the commands of {@link graceCommands} do, for a rotation of any type. */
export function graceCommands(secretId: string, status: RotationStatus): NextCommand[] {
  if (!inGracePeriod(status)) return [];
  const phasedIn = awaitsPromotion(status);
  const atTheEnd = phasedIn
    ? 'promote the new key now'
    : status.type === 'api-key'
      ? 'retire the old key now'
      : 'lock the old login now';
  return [
    { what: 'Give it longer', command: `keyturn extend ${secretId} --by '3 days'` },
    { what: `End it: ${atTheEnd}`, command: `keyturn end-grace ${secretId}` },
    ...(phasedIn ? [{ what: 'Give the new key half', command: `keyturn phase-in ${secretId} 50` }] : []),
    ...(status.pastPointOfNoReturn
      ? []
      : [{ what: 'Undo the rotation', command: `keyturn abort ${secretId} --reason '...'` }]),
  ];
}

/** One line per command, the commands below each other. */
export function commandLines(commands: NextCommand[]): string[] {
  const width = Math.max(...commands.map(({ what }) => what.length + 1));
  return commands.map(({ what, command }) => `${`${what}:`.padEnd(width)} ${command}`);
}
