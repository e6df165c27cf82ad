/** What the exit code of every `keyturn` command means. */
export const ExitCode = {
  Done: 0,
  /** Something was tried and did not succeed; the message says what was undone. */
  Failed: 1,
  /** The command cannot be carried out as it was given: arguments, unknown secret, catalog, configuration. */
  Usage: 2,
  /** Keyturn declined and changed nothing: already running, past the point of no return, not in its grace period. */
  Refused: 3,
  /** The operator stopped waiting (128 + SIGINT); how the rotation ends is not known yet, so this is neither done nor failed. */
  Detached: 130,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
