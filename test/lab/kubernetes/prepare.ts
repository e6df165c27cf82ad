import { PartUnavailable } from '../part';
import { controlPlaneProgram, operatorFiles } from './build';

/** Names the environment variable that tells test files why there is no cluster; it is not set where there can be one. */
export const CLUSTER_UNAVAILABLE = 'LAB_KUBERNETES_UNAVAILABLE';

/**
 * Builds what a cluster consists of before the first test: a build beside tests would take both cores from them for minutes. Where it cannot be
 * built, the tests that need none are run all the same.
 *
 * @throws {PartUnavailable} with CI=true.
 */
export async function prepareCluster(): Promise<void> {
  const report = (line: string) => void process.stderr.write(`${line}\n`);
  try {
    await controlPlaneProgram(report);
    await operatorFiles(report);
  } catch (error) {
    if (!(error instanceof PartUnavailable) || process.env['CI'] === 'true') throw error;
    report(`${error.message}\nTests that need a cluster are skipped.`);
    process.env[CLUSTER_UNAVAILABLE] = error.message;
  }
}
