import { startExternalSecrets } from '../lab/kubernetes/external-secrets';
import type { ExternalSecrets } from '../lab/kubernetes/external-secrets';
import { startKubernetes } from '../lab/kubernetes/kubernetes';
import type { Kubernetes } from '../lab/kubernetes/kubernetes';
import { CLUSTER_UNAVAILABLE } from '../lab/kubernetes/prepare';

/** Longer than a cluster and the operator take to build. */
export const BUILD_MS = 45 * 60_000;

/** Where no cluster can be built, a skip that says why; with CI=true a failure. */
export function describeInCluster(name: string, tests: () => void): void {
  const why = process.env['CI'] === 'true' ? undefined : process.env[CLUSTER_UNAVAILABLE];
  if (why !== undefined) describe.skip(`${name} [skipped: ${why}]`, tests);
  else describe(name, tests);
}

/** A cluster whose External Secrets Operator reads from the shared AWS. */
export interface Cluster {
  kubernetes: Kubernetes;
  operator: ExternalSecrets;
  /** The path of the administrator's. */
  kubeconfig: string;
  stop(): Promise<void>;
}

/** Starts one for a test file. */
export async function openCluster(): Promise<Cluster> {
  const report = (line: string) => void process.stderr.write(`${line}\n`);
  const env = (name: string) => process.env[name] ?? '';
  const kubernetes = await startKubernetes(report);
  const aws = {
    endpoint: env('AWS_ENDPOINT_URL'),
    region: env('AWS_REGION'),
    credentials: { accessKeyId: env('AWS_ACCESS_KEY_ID'), secretAccessKey: env('AWS_SECRET_ACCESS_KEY') },
  };
  try {
    const operator = await startExternalSecrets(kubernetes, aws, report);
    const stop = async () => {
      await operator.stop();
      await kubernetes.stop();
    };
    return { kubernetes, operator, kubeconfig: kubernetes.kubeconfig, stop };
  } catch (error) {
    await kubernetes.stop();
    throw error;
  }
}
