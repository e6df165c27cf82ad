/**
 * `npm run bench`: what rotations cost, against the same calls made directly in the same run, and what many grace periods at once cost.
 * `npm run bench -- rotations` and `npm run bench -- grace` measure one of them; `--at-once 30` does with fewer grace periods.
 * `npm run bench -- --kubernetes` measures deliveries to a cluster, together with those that are named. `--json` is for programs.
 */
import { parseArgs } from 'node:util';
import { PartUnavailable } from '../lab/part';
import { CACHED_WORKFLOWS, measureGracePeriods, ROTATIONS_IN_GRACE } from './grace';
import { measureDelivery } from './delivery';
import { createDeliverySubjects } from './delivery-subjects';
import { startKeyServices } from './key-services';
import { describeMachine, load } from './machine';
import { reportText } from './report';
import type { Measurements } from './report';
import { measureRotations } from './rotations';
import { openStage } from './stage';
import type { Props, Stage } from './stage';
import { createSubjects } from './subjects';

type Figures = Pick<Measurements, 'rotations' | 'gracePeriods' | 'deliveries'>;
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

const PARTS = {
  rotations: () =>
    onStage({ create: createSubjects }, async (stage) => ({ rotations: await measureRotations(stage, say) })),

  grace: async (gracePeriods: number) => {
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
};
type Part = keyof typeof PARTS;

/** Without any arguments; a cluster is asked for by its option, as for the lab. */
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
      'at-once': { type: 'string' },
    },
  });
  const unknown = positionals.find((name) => !isUsual(name));
  if (unknown !== undefined) {
    throw new BadArgument(`'${unknown}' is not measured; expected ${USUAL_PARTS.join(' or ')}, or --kubernetes`);
  }
  const named: Part[] = [...positionals.filter(isUsual), ...(values.kubernetes ? ['kubernetes' as const] : [])];
  const gracePeriods = Number(values['at-once'] ?? ROTATIONS_IN_GRACE);
  if (!Number.isInteger(gracePeriods) || gracePeriods < 2) {
    throw new BadArgument(`--at-once is '${values['at-once']}'; expected a number from 2 on`);
  }
  return { parts: named.length > 0 ? named : USUAL_PARTS, gracePeriods, asJson: values.json };
}

async function main(): Promise<void> {
  const { parts, gracePeriods, asJson } = readArguments();
  const startedAt = performance.now();
  const loadBefore = load();
  let measured: Measured | undefined;
  for (const part of parts) measured = { ...measured, ...(await PARTS[part](gracePeriods)) };
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
