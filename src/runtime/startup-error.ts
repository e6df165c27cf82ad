/**
 * Thrown when a program cannot start or cannot reach what it needs. The message is for the operator and is shown as it
 * is, without a stack: what is wrong, what was left as it is, what to do. It never holds a credential.
 */
export class StartupError extends Error {
  override readonly name: string = 'StartupError';
}
