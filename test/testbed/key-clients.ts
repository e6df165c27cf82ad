import { setTimeout as delay } from 'node:timers/promises';
import { accepted, keyDocument } from './api-keys';
import type { KeySubject } from './key-subjects';
import type { Testbed } from './testbed';

/** What an application has seen of its key. */
export interface KeyUse {
  requests: number;
  /** How often it was refused, and let in with the key that it then read anew. */
  readAgain: number;
  /** How often the key that it had read anew was refused too: an outage. */
  failed: number;
  /** The IDs of the keys that it was let in with. */
  keys: Set<string>;
}

export interface KeyClient {
  use: KeyUse;
  stop(): Promise<KeyUse>;
}

/** How long it trusts what it has read: the caching clients of AWS do so too. */
const READ_AGAIN_AFTER_MS = 250;

/**
 * An application that uses its key all the time, reads it from time to time, and reads it at once when it is refused. It never
 * tries anything a third time.
 *
 * @param reads `primary`: it knows nothing of a secondary; `secondary`: it uses the new key as soon as it is offered.
 */
export function startKeyClient(bed: Testbed, subject: KeySubject, reads: 'primary' | 'secondary'): KeyClient {
  const { service, secret, secondary } = subject;
  const use: KeyUse = { requests: 0, readAgain: 0, failed: 0, keys: new Set() };
  let stopped = false;

  async function read(): Promise<{ id: string; value: string; at: number }> {
    const at = Date.now();
    const offered = reads === 'secondary' ? await keyDocument(bed, secondary) : undefined;
    const document = offered?.key === undefined ? await keyDocument(bed, secret) : offered;
    return { id: document?.keyId ?? '', value: document?.key ?? '', at };
  }

  const working = (async () => {
    let key = await read();
    while (!stopped) {
      if (Date.now() > key.at + READ_AGAIN_AFTER_MS) key = await read();
      use.requests++;
      if (!(await accepted(service, key.value))) {
        key = await read();
        if (await accepted(service, key.value)) use.readAgain++;
        else use.failed++;
      }
      use.keys.add(key.id);
      await delay(2);
    }
  })();
  working.catch(() => undefined);
  return {
    use,
    async stop() {
      stopped = true;
      await working;
      return use;
    },
  };
}
