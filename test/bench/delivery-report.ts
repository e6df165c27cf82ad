import { table } from '../../src/client/table';
import type { DeliveryFigures } from './delivery';
import { DELIVERY_NAMES } from './delivery-contenders';
import { section, two } from './report-parts';

/** The deliveries to Kubernetes for people: the rows of docs/performance.md. */
export function deliverySections(measured: DeliveryFigures[]): string[] {
  const seconds = (ms: number) => two(ms / 1_000);
  return [
    section(
      'From promote to the last pod ready with the new version, in seconds: medians, taken in turn',
      table([
        ['workloads', '', 'of', 'Secret synced', 'last pod ready', '÷ floor'],
        ...measured.flatMap(({ workloads, contenders }) =>
          contenders.map(({ contender, measured: of, syncedMs, readyMs, toFloor }) => [
            `${workloads}`,
            DELIVERY_NAMES[contender],
            `${of}`,
            seconds(syncedMs),
            seconds(readyMs),
            two(toFloor),
          ]),
        ),
      ]),
    ),
  ];
}
