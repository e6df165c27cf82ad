import { randomBytes } from 'node:crypto';
import { onPath } from './executables';
import { PartUnavailable, type Report } from './part';
import { LOOPBACK } from './ports';
import { runToEnd, startProcess, type RunningProcess } from './processes';
import { pythonOf, withoutPythonSettings, type VirtualEnvironment } from './python';

export const MOTO_VERSION = '5.2.5';
/** moto brings it along; the version is said here so that what it finds fault with changes only when somebody wants it to. */
const CFN_LINT_VERSION = '1.58.0';
const MOTO_PACKAGE = `moto[server]==${MOTO_VERSION}`;
const MOTO_IMAGE = `motoserver/moto:${MOTO_VERSION}`;

/** moto, and cfn-lint beside it. */
export const MOTO_ENVIRONMENT: VirtualEnvironment = {
  name: `moto-${MOTO_VERSION}-cfn-lint-${CFN_LINT_VERSION}`,
  packages: [MOTO_PACKAGE, `cfn-lint==${CFN_LINT_VERSION}`],
};

/** A way to run moto on this machine. */
export type MotoStarter = (port: number) => RunningProcess;

/**
 * Finds or makes a way to run moto: in a Python virtual environment of the cache, else as a container.
 *
 * @throws {PartUnavailable} when neither works here
 */
export async function motoStarter(report: Report): Promise<MotoStarter> {
  let pythonFailure: string;
  try {
    const python = await pythonOf(MOTO_ENVIRONMENT, report);
    return (port) =>
      startProcess(python, ['-m', 'moto.server', '-H', LOOPBACK, '-p', `${port}`], { env: withoutPythonSettings() });
  } catch (error) {
    pythonFailure = error instanceof Error ? error.message : String(error);
  }
  report(`${pythonFailure}: trying the container ${MOTO_IMAGE}`);
  const docker = await workingDocker();
  if (docker !== undefined) return inContainer(docker);
  throw new PartUnavailable(
    'AWS (moto)',
    `${pythonFailure}, and no Docker daemon answers`,
    `pip install '${MOTO_PACKAGE}' && moto_server -H ${LOOPBACK} -p 5000, then export AWS_ENDPOINT_URL=http://${LOOPBACK}:5000`,
  );
}

async function workingDocker(): Promise<string | undefined> {
  const docker = onPath('docker');
  if (docker === undefined) return undefined;
  const { succeeded } = await runToEnd(docker, ['info'], 10_000);
  return succeeded ? docker : undefined;
}

/** `docker run` hands the signals it gets to the container, and `--rm` removes it. */
function inContainer(docker: string): MotoStarter {
  return (port) => {
    const name = `keyturn-lab-moto-${randomBytes(4).toString('hex')}`;
    return startProcess(docker, ['run', '--rm', '--name', name, '-p', `${LOOPBACK}:${port}:5000`, MOTO_IMAGE]);
  };
}
