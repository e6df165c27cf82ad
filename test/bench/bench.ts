/**
 * `npm run bench`: what rotations cost, against the same calls made directly in the same run, and what many grace periods at once cost.
 * `npm run bench -- rotations` and `npm run bench -- grace` measure one of them; `--at-once 30` does with fewer grace periods.
 * `npm run bench -- --kubernetes` measures deliveries to a cluster, together with those that are named. `--json` is for programs.
 * `npm run bench -- --fleet` measures fleets of 100, 1,000 and 5,000 secrets and 1,000 schedules in half an hour; `--secrets 30` and
 * `--schedules 30` take other numbers, and with `--paced` the workers keep to their usual pace of writes.
 */
import { parseArgs } from 'node:util';
import { PartUnavailable } from '../lab/part';
import { CACHED_WORKFLOWS, measureGracePeriods, ROTATIONS_IN_GRACE } from './grace';
import { measureDelivery } from './delivery';
import { createDeliverySubjects } from './delivery-subjects';
import { fleetProps, FLEET_SIZES, measureFleets, SCHEDULES } from './fleet';
import type { FleetBench } from './fleet';
import { startKeyServices } from './key-services';
import { describeMachine, load } from './machine';
import { reportText } from './report';
import type { Measurements } from './report';
import { measureRotations } from './rotations';
import { openStage } from './stage';
import type { Props, Stage } from './stage';
import { createSubjects } from './subjects';

type Figures = Pick<Measurements, 'rotations' | 'gracePeriods' | 'deliveries' | 'fleets'>;
type Measured = Figures & Pick<Measurements, 'machine'>;

/** The results alone go to stdout. */
const say = (line: string): void => console.error(line);

async function onStage(props: Props, work: (stage: Stage) => Promise<Figures>): Promise<Measured> {
  const stage = await openStage(say, props);
  try {
    return { machine: await describeMachine(stage), ...(await work(stage)) };
  } finally {
    await stage.close();
  }
}

interface Numbers {
  gracePeriods: number;
  fleet: FleetBench;
}

const PARTS = {
  rotations: () =>
    onStage({ create: createSubjects }, async (stage) => ({ rotations: await measureRotations(stage, say) })),

  grace: async ({ gracePeriods }: Numbers) => {
    const { secrets, create, stop } = await startKeyServices(gracePeriods);
    const settings = { KEYTURN_MAX_CACHED_WORKFLOWS: `${CACHED_WORKFLOWS}` };
    try {
      return await onStage({ create, settings }, async (stage) => ({
        gracePeriods: await measureGracePeriods(stage, secrets, say),
      }));
    } finally {
      await stop();
    }
  },

  kubernetes: () =>
    onStage({ create: createDeliverySubjects, kubernetes: true }, async (stage) => ({
      deliveries: await measureDelivery(stage, say),
    })),

  fleet: ({ fleet }: Numbers) =>
    onStage(fleetProps(fleet.paced), async (stage) => ({ fleets: await measureFleets(stage, fleet, say) })),
};
type Part = keyof typeof PARTS;

/** Without any arguments; the others are asked for by an option. */
const USUAL_PARTS: Part[] = ['rotations', 'grace'];

const isUsual = (name: string): name is Part => (USUAL_PARTS as string[]).includes(name);

/** An argument that is not known; its message is for the one who typed it. */
class BadArgument extends Error {
  override readonly name = 'BadArgument';
}

/** @throws BadArgument */
function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      kubernetes: { type: 'boolean', default: false },
      fleet: { type: 'boolean', default: false },
      'at-once': { type: 'string' },
      secrets: { type: 'string', multiple: true },
      schedules: { type: 'string' },
      paced: { type: 'boolean', default: false },
    },
  });
  const unknown = positionals.find((name) => !isUsual(name));
  if (unknown !== undefined) {
    throw new BadArgument(
      `'${unknown}' is not measured; expected ${USUAL_PARTS.join(' or ')}, --kubernetes or --fleet`,
    );
  }
  const named: Part[] = [
    ...positionals.filter(isUsual),
    ...(['kubernetes', 'fleet'] as const).filter((part) => values[part]),
  ];
  const gracePeriods = countFrom(2, '--at-once', values['at-once'], ROTATIONS_IN_GRACE);
  const sizes = values.secrets?.map((size) => countFrom(10, '--secrets', size, 0)) ?? FLEET_SIZES;
  const schedules = countFrom(1, '--schedules', values.schedules, SCHEDULES);
  const fleet = { sizes, schedules, paced: values.paced };
  return { parts: named.length > 0 ? named : USUAL_PARTS, numbers: { gracePeriods, fleet }, asJson: values.json };
}

/** @throws BadArgument */
function countFrom(least: number, option: string, text: string | undefined, standard: number): number {
  const count = Number(text ?? standard);
  if (Number.isInteger(count) && count >= least) return count;
  throw new BadArgument(`${option} is '${text}'; expected a number from ${least} on`);
}

async function main(): Promise<void> {
  const { parts, numbers, asJson } = readArguments();
  const startedAt = performance.now();
  const loadBefore = load();
  let measured: Measured | undefined;
  for (const part of parts) measured = { ...measured, ...(await PARTS[part](numbers)) };
  if (!measured) return;
  const measurements: Measurements = {
    ...measured,
    load: { before: loadBefore, after: load() },
    tookSeconds: (performance.now() - startedAt) / 1_000,
  };
  console.log(asJson ? JSON.stringify(measurements, undefined, 2) : `\n${reportText(measurements)}`);
}

main().then(
  () => process.exit(),
  (error: unknown) => {
    console.error(error instanceof PartUnavailable || error instanceof BadArgument ? `\n${error.message}` : error);
    process.exit(1);
  },
);
