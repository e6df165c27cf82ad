import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../testbed/until';
import { openClusterCalls } from './cluster-calls';
import type { ClusterCalls } from './cluster-calls';
import { DELIVERY_CONTENDERS, deliverOnce, rolledOut, workload } from './delivery-contenders';
import type { DeliveryContender, DeliveryTimes } from './delivery-contenders';
import { DELIVERY_SUBJECTS, PODS_EACH, WARM_UP } from './delivery-subjects';
import type { DeliverySubject } from './delivery-subjects';
import type { Stage } from './stage';
import { median } from './statistics';
import { ENVIRONMENT } from './subjects';

/** Kubernetes' controllers save up calls while they are idle, 30 at 20 a second; each contender begins with as many. */
const REST_MS = 1_500;

/** What one contender took with so many workloads: medians, in milliseconds. */
export interface DeliveryFigure extends DeliveryTimes {
  contender: DeliveryContender;
  measured: number;
  /** `readyMs` divided by the floor's. */
  toFloor: number;
}

export interface DeliveryFigures {
  workloads: number;
  contenders: DeliveryFigure[];
}

/**
 * How long it takes from the promotion of a version until the last pod is ready with it. The contenders take turns.
 *
 * @param say takes the progress.
 */
export async function measureDelivery(stage: Stage, say: (line: string) => void): Promise<DeliveryFigures[]> {
  const { cluster } = stage.lab;
  if (!cluster) throw new Error('the stage has no cluster');
  const calls = await openClusterCalls(cluster.kubernetes.kubeconfig);
  try {
    const figures: DeliveryFigures[] = [];
    say('warming up');
    await takeTurns(stage, calls, WARM_UP);
    for (const subject of DELIVERY_SUBJECTS) {
      say(`measuring deliveries to ${subject.workloads.length} workloads`);
      const taken = await takeTurns(stage, calls, subject);
      figures.push({ workloads: subject.workloads.length, contenders: figuresOf(taken) });
    }
    return figures;
  } finally {
    calls.close();
  }
}

type Taken = Record<DeliveryContender, DeliveryTimes[]>;

async function takeTurns(stage: Stage, calls: ClusterCalls, subject: DeliverySubject): Promise<Taken> {
  const taken: Taken = { rotation: [], floor: [], script: [] };
  for (let round = 0; round < subject.rounds; round += 1) {
    for (const contender of DELIVERY_CONTENDERS) {
      // It sleeps most of its time.
      if (contender === 'script' && round >= subject.roundsOfScript) continue;
      await atRest(calls, subject);
      taken[contender].push(await deliverOnce(stage, calls, contender, subject));
    }
  }
  return taken;
}

function figuresOf(taken: Taken): DeliveryFigure[] {
  const ready = (contender: DeliveryContender) => median(taken[contender].map(({ readyMs }) => readyMs));
  return DELIVERY_CONTENDERS.map((contender) => ({
    contender,
    measured: taken[contender].length,
    syncedMs: median(taken[contender].map(({ syncedMs }) => syncedMs)),
    readyMs: ready(contender),
    toFloor: ready(contender) / ready('floor'),
  }));
}

/** Until all pods run, and nothing is left of those before: the turn before must not cost this one anything. */
async function atRest(calls: ClusterCalls, { workloads }: DeliverySubject): Promise<void> {
  for (const name of workloads) await rolledOut(calls, await workload(calls, name));
  await until('the old pods to be gone', async () => {
    const path = `/api/v1/namespaces/${ENVIRONMENT}/pods?labelSelector=app+in+(${workloads.join(',')})`;
    const { items } = await calls.get<{ items: object[] }>(path);
    return items.length === workloads.length * PODS_EACH;
  });
  await delay(REST_MS);
}
