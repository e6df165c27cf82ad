import setUpTheOthers from '../jest-setup';
import { controlPlaneProgram, kubernetesUnavailable, operatorFiles } from './build';

/** Builds what a cluster consists of before the first test: a build beside tests would take both cores from them for minutes. */
export default async function setUp(): Promise<void> {
  if (process.env['CI'] === 'true' || !kubernetesUnavailable()) {
    const report = (line: string) => void process.stderr.write(`${line}\n`);
    await controlPlaneProgram(report);
    await operatorFiles(report);
  }
  await setUpTheOthers();
}
