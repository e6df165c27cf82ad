import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheEntry, cachedEntry } from './cache';
import { onPath } from './executables';
import { PartUnavailable, secondsSince, type Report } from './part';
import { lastLines, runToEnd, startProcess } from './processes';
import { PROJECT_ROOT } from './project';

/** The newest that `go install` can build: later tags have a replace directive. Server 1.29. */
const CLI_VERSION = 'v1.5.1';
const CLI_MODULE = `github.com/temporalio/cli/cmd/temporal@${CLI_VERSION}`;
const CACHE_ENTRY = `temporal-cli-${CLI_VERSION}`;

/** How long the download may take to begin, and to end. */
const DOWNLOAD_BEGINS_MS = 10_000;
const DOWNLOAD_ENDS_MS = 180_000;
const BUILD_ENDS_MS = 14 * 60_000;

/** A Temporal CLI that is here already: on PATH, else in the cache. */
export function installedTemporalCli(): string | undefined {
  const found = onPath('temporal');
  if (found !== undefined) return found;
  const entry = cachedEntry(CACHE_ENTRY);
  return entry === undefined ? undefined : join(entry, 'temporal');
}

/**
 * The path of a Temporal CLI: on PATH, else cached, else downloaded by the Temporal SDK, else built with Go (3 minutes).
 *
 * @throws {PartUnavailable} when none of these works here
 */
export async function temporalCli(report: Report): Promise<string> {
  const installed = installedTemporalCli();
  if (installed !== undefined) return installed;
  const entry = await cacheEntry(
    CACHE_ENTRY,
    async (folder) => {
      report(`no temporal on PATH: downloading the CLI ${CLI_VERSION} (once)`);
      const failure = await download(folder);
      if (failure !== undefined) await build(folder, failure, report);
    },
    () => report('waiting for another lab that is fetching the CLI'),
  );
  return join(entry, 'temporal');
}

/** Lets the SDK download the CLI, in a process of its own that can be ended. Returns why it failed. */
async function download(folder: string): Promise<string | undefined> {
  const downloads = join(folder, 'download');
  await mkdir(downloads);
  const options = { server: { executable: { type: 'cached-download', downloadDir: downloads, version: CLI_VERSION } } };
  const script = `require('@temporalio/testing').TestWorkflowEnvironment.createLocal(${JSON.stringify(options)})
    .then((environment) => environment.teardown())
    .catch((error) => { console.error(error.message); process.exit(1); })`;
  const sdk = startProcess(process.execPath, ['-e', script], { cwd: PROJECT_ROOT });
  const giveUp = setTimeout(() => void sdk.end('SIGKILL'), DOWNLOAD_ENDS_MS);
  const lookForBeginning = setTimeout(() => {
    readdir(downloads).then(
      (files) => (files.length === 0 ? sdk.end('SIGKILL') : undefined),
      () => undefined,
    );
  }, DOWNLOAD_BEGINS_MS);
  const { code } = await sdk.exited;
  clearTimeout(giveUp);
  clearTimeout(lookForBeginning);

  const [file] = code === 0 ? await readdir(downloads) : [];
  if (file !== undefined) {
    await rename(join(downloads, file), join(folder, 'temporal'));
    await chmod(join(folder, 'temporal'), 0o755);
  }
  await rm(downloads, { recursive: true, force: true });
  if (file !== undefined) return undefined;
  return code === null ? 'the download did not begin in time' : `the download failed (${innermostCause(sdk.output())})`;
}

/** The SDK's message names the address twice before it comes to the point. */
function innermostCause(output: string): string {
  return lastLines(output, 1).split(': ').at(-1) ?? output;
}

async function build(folder: string, downloadFailure: string, report: Report): Promise<void> {
  const go = onPath('go');
  if (go === undefined) {
    throw new PartUnavailable(
      'Temporal',
      `there is no \`temporal\` on PATH, ${downloadFailure}, and there is no Go to build it with`,
      'install the CLI (https://docs.temporal.io/cli/setup-cli) or Go, or set TEMPORAL_ADDRESS=host:port',
    );
  }
  report(`${downloadFailure}: building the CLI with \`go install ${CLI_MODULE}\` (3 minutes, once)`);
  const startedAt = Date.now();
  const built = await runToEnd(go, ['install', CLI_MODULE], BUILD_ENDS_MS, {
    cwd: tmpdir(),
    env: { ...process.env, GOBIN: folder },
  });
  if (!built.succeeded || !existsSync(join(folder, 'temporal'))) {
    throw new PartUnavailable(
      'Temporal',
      `there is no \`temporal\` on PATH, ${downloadFailure}, and building it failed (${lastLines(built.output)})`,
      `go install ${CLI_MODULE}`,
    );
  }
  report(`built the CLI in ${secondsSince(startedAt)}`);
}
