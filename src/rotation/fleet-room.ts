import type { FleetEntry } from './fleet';

/** Temporal refuses a payload above 2 MiB (its setting `limit.blobSize.error`); some room is left for what encrypting one adds. */
export const ROOM_BYTES = 2_000_000;

/** How many bytes a value takes as JSON in UTF-8. */
export function bytesOf(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}

/** The message of a cause is the only text that is as long as somebody else likes; the workflow's ID follows from the secret's name. */
const SHORTER: readonly ((entry: FleetEntry) => FleetEntry)[] = [
  (entry) => withMessage(entry, 120),
  (entry) => withMessage(entry, 40),
  ({ secret, type, outcome, graceEndsAt, cause, reason }) =>
    withMessage({ secret, type, outcome, graceEndsAt, cause, reason }, 40),
];

/** The entries themselves if they have that room, and otherwise without as much of their details as it takes. */
export function fitted(entries: readonly FleetEntry[], roomBytes: number): FleetEntry[] {
  let fitting = [...entries];
  for (const shorter of SHORTER) {
    if (bytesOf(fitting) <= roomBytes) break;
    fitting = entries.map(shorter);
  }
  return fitting;
}

function withMessage(entry: FleetEntry, longest: number): FleetEntry {
  const { cause, reason } = entry;
  return {
    ...entry,
    ...(cause && { cause: { ...cause, message: cut(cause.message, longest) } }),
    ...(reason !== undefined && { reason: cut(reason, longest) }),
  };
}

function cut(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text;
}
