import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheEntry } from './cache';
import { onPath } from './executables';
import { PartUnavailable, secondsSince, type Report } from './part';
import { LOOPBACK } from './ports';
import { lastLines, runToEnd, startProcess, type RunningProcess } from './processes';

export const MOTO_VERSION = '5.2.5';
const MOTO_PACKAGE = `moto[server]==${MOTO_VERSION}`;
const MOTO_IMAGE = `motoserver/moto:${MOTO_VERSION}`;
const VENV_ENDS_MS = 10 * 60_000;

/** A way to run moto on this machine. */
export type MotoStarter = (port: number) => RunningProcess;

/**
 * Finds or makes a way to run moto: in a Python virtual environment of the cache, else as a container.
 *
 * @throws {PartUnavailable} when neither works here
 */
export async function motoStarter(report: Report): Promise<MotoStarter> {
  let pythonFailure = 'there is no python3 on PATH';
  const python = onPath('python3') ?? onPath('python');
  if (python !== undefined) {
    try {
      return await inVirtualEnvironment(python, report);
    } catch (error) {
      pythonFailure = error instanceof Error ? error.message : String(error);
    }
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

async function inVirtualEnvironment(python: string, report: Report): Promise<MotoStarter> {
  const venv = await cacheEntry(
    `moto-${MOTO_VERSION}`,
    (folder) => makeVirtualEnvironment(python, folder, report),
    () => report('waiting for another lab that is installing moto'),
  );
  // As a module: the scripts of a virtual environment hold the path that it was made under.
  return (port) =>
    startProcess(join(venv, 'bin', 'python'), ['-m', 'moto.server', '-H', LOOPBACK, '-p', `${port}`], {
      env: withoutPythonSettings(),
    });
}

async function makeVirtualEnvironment(python: string, folder: string, report: Report): Promise<void> {
  const startedAt = Date.now();
  report(`no AWS_ENDPOINT_URL: installing ${MOTO_PACKAGE} in a Python virtual environment (once)`);
  const venv = await runToEnd(python, ['-m', 'venv', folder], VENV_ENDS_MS, { env: withoutPythonSettings() });
  const venvPython = join(folder, 'bin', 'python');
  if (!venv.succeeded || !existsSync(venvPython)) {
    throw new Error(`${python} cannot make a virtual environment (${lastLines(venv.output, 1)})`);
  }
  const installed = await runToEnd(
    venvPython,
    ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', MOTO_PACKAGE],
    VENV_ENDS_MS,
    { env: withoutPythonSettings() },
  );
  if (!installed.succeeded) throw new Error(`pip cannot install moto (${lastLines(installed.output, 1)})`);
  report(`installed moto ${MOTO_VERSION} in ${secondsSince(startedAt)}`);
}

/** Settings that would make Python look outside the virtual environment. */
function withoutPythonSettings(): NodeJS.ProcessEnv {
  const { PYTHONHOME: _home, PYTHONPATH: _path, VIRTUAL_ENV: _venv, ...env } = process.env;
  return env;
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
