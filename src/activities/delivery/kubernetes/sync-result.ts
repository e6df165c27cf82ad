/** What a sync found and did. */
export interface SyncResult {
  /** The Secret is as it was before anything was changed: nothing of another version was ever in it. */
  untouched: boolean;
  /** The Secret was seen to change. */
  came: boolean;
  /** When its data was last written, in milliseconds since the epoch by the API server's clock. */
  changedAt?: number;
}
