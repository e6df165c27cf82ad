/**
 * Tests that mostly wait and have nothing to do with each other: all are begun after the hooks before this call, and each is reported by
 * its title.
 */
export function testSideBySide(tests: Record<string, () => Promise<void>>): void {
  const ends = new Map<string, Promise<void>>();
  beforeAll(() => {
    for (const [title, run] of Object.entries(tests)) {
      const end = run();
      // Reported by its test, which may come to it later.
      end.catch(() => undefined);
      ends.set(title, end);
    }
  });
  test.each(Object.keys(tests))('%s', (title) => ends.get(title));
}
