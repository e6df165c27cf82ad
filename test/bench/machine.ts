import { cpus, loadavg, totalmem } from 'node:os';
import { asSuperuser } from '../lab/audit-database';
import { KUBERNETES_VERSION, OPERATOR_VERSION } from '../lab/kubernetes/build';
import { MOTO_VERSION } from '../lab/moto';
import type { Stage } from './stage';

/** What the figures depend on. */
export interface Machine {
  processors: number;
  model: string;
  memoryGiB: number;
  versions: { node: string; temporalServer: string; postgresql: string; aws: string; kubernetes?: string };
}

export async function describeMachine({ lab, temporal }: Stage): Promise<Machine> {
  const { serverVersion } = await temporal.connection.workflowService.getSystemInfo({});
  let postgresql = 'unknown';
  await asSuperuser(lab.postgres, 'postgres', async (client) => {
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
    postgresql = rows[0]?.server_version ?? postgresql;
  });
  return {
    processors: cpus().length,
    model: cpus()[0]?.model ?? 'unknown',
    memoryGiB: totalmem() / 2 ** 30,
    versions: {
      node: process.versions.node,
      temporalServer: serverVersion ?? 'unknown',
      postgresql,
      aws: process.env.AWS_ENDPOINT_URL ?? `moto ${MOTO_VERSION}`,
      kubernetes: lab.cluster && `${KUBERNETES_VERSION} with External Secrets Operator ${OPERATOR_VERSION}`,
    },
  };
}

/** The load average of one minute: what else the machine has to do. */
export const load = (): number => loadavg()[0] ?? 0;
