import type { BroughtBack, SeenBefore } from '../../../rotation/dependents';
import type { SecretObject } from './objects';

/** What a sync found and did. */
export interface SyncResult {
  /** The Secret is as it was before anything was changed: nothing of another version was ever in it. */
  untouched: boolean;
  /** `changedAt` is when the version came: it was seen to, or its writer writes nothing else. Otherwise it may have come earlier. */
  came: boolean;
  /** When the data was last written, in milliseconds since the epoch by the API server's clock; with `push`, Keyturn's own keys of it. */
  changedAt?: number;
}

/** Whether a Secret is as it was before anything was changed; false where that is not known. */
export function isUntouched(secret: SecretObject | undefined, back: BroughtBack | undefined): boolean {
  return back?.resourceVersion !== undefined && secret?.metadata.resourceVersion === back.resourceVersion;
}

/** Whether a Secret was written since it was seen; false where that is not known. */
export function wasWrittenSince(seen: SeenBefore | undefined, secret: SecretObject | undefined): boolean {
  return (
    seen?.resourceVersion !== undefined &&
    secret !== undefined &&
    secret.metadata.resourceVersion !== seen.resourceVersion
  );
}
