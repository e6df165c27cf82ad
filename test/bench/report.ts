import { table } from '../../src/client/table';
import type { RotationCalls } from './calls';
import { CONTENDERS, NAMES } from './contenders';
import type { DeliveryFigures } from './delivery';
import { deliverySections } from './delivery-report';
import { graceSections } from './grace-report';
import type { GraceFigures } from './grace';
import type { FleetFigures } from './fleet';
import { fleetSections } from './fleet-report';
import type { Footprint } from './history';
import type { Machine } from './machine';
import { one, section, two } from './report-parts';
import type { RotationFigures } from './rotations';
import type { Throughput } from './throughput';

/** All that a run measured. Times are in milliseconds where their name says nothing else. */
export interface Measurements {
  machine: Machine;
  /** The load average of one minute. */
  load: { before: number; after: number };
  rotations?: RotationFigures;
  gracePeriods?: GraceFigures;
  deliveries?: DeliveryFigures[];
  fleets?: FleetFigures;
  tookSeconds: number;
}

/** The measurements for people. */
export function reportText(measured: Measurements): string {
  const { machine, load, rotations, gracePeriods, deliveries, fleets, tookSeconds } = measured;
  const { node, temporalServer, postgresql, aws, kubernetes } = machine.versions;
  return [
    [
      `${machine.processors} processors (${machine.model}), ${one(machine.memoryGiB)} GiB; load ${two(load.before)} before, ${two(load.after)} after`,
      `Node ${node}, Temporal server ${temporalServer}, PostgreSQL ${postgresql}, AWS: ${aws}${kubernetes ? `, Kubernetes ${kubernetes}` : ''}; took ${Math.round(tookSeconds)} s`,
    ].join('\n'),
    ...(rotations ? rotationSections(rotations) : []),
    ...(gracePeriods ? graceSections(gracePeriods) : []),
    ...(deliveries ? deliverySections(deliveries) : []),
    ...(fleets ? fleetSections(fleets) : []),
  ].join('\n\n');
}

function rotationSections(measured: RotationFigures): string[] {
  return [
    section('The calls of one single-user rotation', calls(measured.calls)),
    section(
      `One at a time: milliseconds, of ${measured.overhead.measured} each, taken in turn`,
      table([
        ['', 'median', '95th percentile', 'median ÷ floor'],
        ...CONTENDERS.map((contender) => {
          const { medianMs, p95Ms, toFloor } = measured.overhead.contenders[contender];
          return [NAMES[contender], one(medianMs), one(p95Ms), two(toFloor)];
        }),
      ]),
    ),
    section('Many at once: rotations per second, each on its own secret and login', throughput(measured.throughput)),
    section('What one rotation costs the Temporal server', footprints(measured.footprints)),
    section(
      "The worker's resident memory, in MiB",
      table([
        ['idle', '100 rotations at once', 'after'],
        [one(measured.memory.idle), one(measured.memory.underLoad), one(measured.memory.after)],
      ]),
    ),
    section(
      'From SIGKILL after the password was changed to the end of the rotation, in seconds',
      `median ${one(measured.recovery.medianSeconds)} of ${measured.recovery.seconds.map(one).join(', ')}`,
    ),
  ];
}

function calls({ steps, secretsManager, logins, statements, auditRecords }: RotationCalls): string {
  return [
    table(steps.map((step) => [step.step, step.calls.join(', ')])),
    `${secretsManager} to Secrets Manager, ${logins} logins and ${statements} statements to PostgreSQL; ${auditRecords} audit records besides`,
  ].join('\n');
}

function throughput(measured: Throughput[]): string {
  return table([
    ['at once', ...CONTENDERS.map((contender) => NAMES[contender]), 'Keyturn ÷ floor', "Keyturn ÷ sample's calls"],
    ...measured.map(({ atOnce, perSecond }) => [
      `${atOnce}`,
      ...CONTENDERS.map((contender) => one(perSecond[contender])),
      two(perSecond.rotation / perSecond.floor),
      two(perSecond.rotation / perSecond.sample),
    ]),
  ]);
}

function footprints(measured: Footprint[]): string {
  return table([
    ['', 'events', 'history bytes', 'workflow tasks', 'activities', 'of them local', 'billable actions', 'made up of'],
    ...measured.map(({ recipe, events, historyBytes, workflowTasks, activities, actions }) => [
      recipe,
      `${events}`,
      `${historyBytes}`,
      `${workflowTasks}`,
      `${activities.regular + activities.local}`,
      `${activities.local}`,
      `${actions.total}`,
      [
        'start 1',
        `activities ${actions.activities}`,
        `batches of local activities ${actions.localActivityBatches}`,
        `search attributes ${actions.searchAttributeUpserts}`,
        ...(actions.timers ? [`timers ${actions.timers}`] : []),
        ...(actions.signals ? [`signals ${actions.signals}`] : []),
        ...(actions.updates ? [`updates ${actions.updates}`] : []),
      ].join(', '),
    ]),
  ]);
}
