/**
 * `npm run bench`: what rotations cost, against the same calls made directly in the same run, and what many grace periods at once cost.
 * `npm run bench -- rotations` and `npm run bench -- grace` measure one of them; `--at-once 30` does with fewer grace periods;
 * `--json` is for programs.
 */
import { parseArgs } from 'node:util';
import { PartUnavailable } from '../lab/part';
import { CACHED_WORKFLOWS, measureGracePeriods, ROTATIONS_IN_GRACE } from './grace';
import { startKeyServices } from './key-services';
import { describeMachine, load } from './machine';
import { reportText } from './report';
import type { Measurements } from './report';
import { measureRotations } from './rotations';
import { openStage } from './stage';
import type { Props, Stage } from './stage';
import { createSubjects } from './subjects';

type Figures = Pick<Measurements, 'rotations' | 'gracePeriods'>;
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
};
type Part = keyof typeof PARTS;

const isPart = (name: string): name is Part => Object.hasOwn(PARTS, name);

/** An argument that is not known; its message is for the one who typed it. */
class BadArgument extends Error {
  override readonly name = 'BadArgument';
}

/** @throws BadArgument */
function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false }, 'at-once': { type: 'string' } },
  });
  const names = positionals.length > 0 ? positionals : Object.keys(PARTS);
  const unknown = names.find((name) => !isPart(name));
  if (unknown !== undefined) {
    throw new BadArgument(`'${unknown}' is not measured; expected ${Object.keys(PARTS).join(' or ')}`);
  }
  const gracePeriods = Number(values['at-once'] ?? ROTATIONS_IN_GRACE);
  if (!Number.isInteger(gracePeriods) || gracePeriods < 2) {
    throw new BadArgument(`--at-once is '${values['at-once']}'; expected a number from 2 on`);
  }
  return { parts: names.filter(isPart), gracePeriods, asJson: values.json };
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
