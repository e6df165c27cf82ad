import { Cause } from '../../rotation/errors';
import type { CauseDetails } from '../../rotation/errors';

/** One of several things that a step does, and why it could not be done. */
export interface FailedPart {
  cause: CauseDetails;
  /** What is left to do for it, where it was to be undone; all that the step's compensation does when absent. */
  todo?: string;
}

/** Several things that one step does failed, or one of which it is known what is left to do. Never empty. */
export class PartsFailed extends Error {
  override readonly name = 'PartsFailed';

  constructor(readonly parts: readonly FailedPart[]) {
    super(joined(parts));
  }

  /** Of several types, one that may pass counts before one that is not worth many tries. Every message is there once. */
  get asOne(): CauseDetails {
    const types = this.parts.map(({ cause }) => cause.type);
    const type = types.find((each) => each !== Cause.NotRestarted) ?? types[0] ?? Cause.Unexpected;
    return { type, message: this.message };
  }
}

function joined(parts: readonly FailedPart[]): string {
  const messages = [...new Set(parts.map(({ cause }) => cause.message))];
  if (messages.length === 1) return messages.join();
  return messages.map((message) => (message.endsWith('.') ? message : `${message}.`)).join(' ');
}
