/** Bounds of one write. */
export interface GroupLimits {
  items: number;
  characters: number;
}

/**
 * Group commit: while one write is under way further items queue, and go together in the next. Under load that makes one
 * round trip and one flush to disk out of many; without load an item goes at once.
 *
 * @param write stores a group, all or nothing.
 */
export function createGroupCommit(write: (group: string[]) => Promise<void>, limits: GroupLimits) {
  const queue: { item: string; resolve: () => void; reject: (error: unknown) => void }[] = [];
  let writing: Promise<void> | undefined;

  function nextGroup() {
    let count = 0;
    let characters = 0;
    for (const { item } of queue) {
      characters += item.length;
      if (count > 0 && (count === limits.items || characters > limits.characters)) break;
      count++;
    }
    return queue.splice(0, count);
  }

  async function writeAll(): Promise<void> {
    while (queue.length > 0) {
      const group = nextGroup();
      try {
        await write(group.map(({ item }) => item));
        for (const { resolve } of group) resolve();
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    writing = undefined;
  }

  return {
    /** Settles as the write that the item is part of. */
    add(item: string): Promise<void> {
      return new Promise((resolve, reject) => {
        queue.push({ item, resolve, reject });
        writing ??= writeAll();
      });
    },
    /** Resolves when nothing is queued or under way. */
    async settled(): Promise<void> {
      await writing;
    },
  };
}
