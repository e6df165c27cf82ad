import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheEntry, cachedEntry } from '../cache';
import { onPath } from '../executables';
import { PartUnavailable, reportFor, secondsSince, type Report } from '../part';
import { lastLines, runToEnd } from '../processes';
import { projectFile } from '../project';

/** Of the Kubernetes releases, one whose modules the Go proxy has all; control-plane/go.mod names it too. */
export const KUBERNETES_VERSION = 'v1.33.13';
/** Built with the client library of that Kubernetes; it serves `external-secrets.io/v1` only. */
export const OPERATOR_VERSION = 'v0.19.2';
const OPERATOR_MODULE = 'github.com/external-secrets/external-secrets';

const CONTROL_PLANE_ENTRY = `kubernetes-${KUBERNETES_VERSION}`;
const OPERATOR_ENTRY = `external-secrets-${OPERATOR_VERSION}`;
const DEFINITIONS = 'definitions.yaml';

const DOWNLOAD_ENDS_MS = 10 * 60_000;
const BUILD_ENDS_MS = 60 * 60_000;
const PROGRESS_EVERY_MS = 60_000;

/** Kubernetes requires its own samples without using them; empty modules stand in for them. */
const SAMPLES = ['sample-apiserver', 'sample-cli-plugin', 'sample-controller'];

/**
 * Nearly all of the time goes into compiling some 2,500 packages once. Without debugging information and without inlining, and
 * with the settings below, that takes a third less processor time, and the programs are quick enough for a lab.
 */
const COMPILER_FLAGS = '-gcflags=all=-dwarf=false -l';
/** The compiler collects its garbage less often, for up to 140 MB more. */
const COMPILER_SETTINGS = { CGO_ENABLED: '0', GOGC: '400' };

/** Why this machine cannot have a cluster, as far as that can be said without a build. */
export function kubernetesUnavailable(): PartUnavailable | undefined {
  if (onPath('go') !== undefined) return undefined;
  if (cachedEntry(CONTROL_PLANE_ENTRY) !== undefined && cachedEntry(OPERATOR_ENTRY) !== undefined) return undefined;
  return unavailable('there is no Go to build it with', 'install Go, version 1.24.6 or later (https://go.dev/dl)');
}

/**
 * The path of one program that is etcd, the parts of the Kubernetes control plane, and kwok: cached, else built with Go (7 minutes of
 * processor time).
 *
 * @throws {PartUnavailable}
 */
export async function controlPlaneProgram(report: Report): Promise<string> {
  const say = reportFor('kubernetes', report);
  const entry = await cacheEntry(
    CONTROL_PLANE_ENTRY,
    async (folder) => {
      const program = join(folder, 'control-plane');
      await withSources(folder, async (source) => {
        await cp(projectFile('test', 'lab', 'kubernetes', 'control-plane'), source, { recursive: true });
        for (const sample of SAMPLES) {
          await mkdir(join(source, 'unused', sample), { recursive: true });
          await writeFile(join(source, 'unused', sample, 'go.mod'), `module k8s.io/${sample}\n\ngo 1.24\n`);
        }
        const linkerFlags = `-s -w ${versionFlags()}`;
        await buildProgram('Kubernetes', KUBERNETES_VERSION, source, program, linkerFlags, say);
      });
    },
    () => say('waiting for another lab that is building Kubernetes'),
  );
  return join(entry, 'control-plane');
}

/** External Secrets Operator: its program, and the file with its custom resource definitions. */
export interface OperatorFiles {
  program: string;
  definitions: string;
}

/**
 * The operator: cached, else built with Go (3 minutes of processor time).
 *
 * @throws {PartUnavailable}
 */
export async function operatorFiles(report: Report): Promise<OperatorFiles> {
  const say = reportFor('kubernetes', report);
  const entry = await cacheEntry(
    OPERATOR_ENTRY,
    async (folder) => {
      const program = join(folder, 'external-secrets');
      await withSources(folder, async (source) => {
        await cp(await moduleFolder(`${OPERATOR_MODULE}@${OPERATOR_VERSION}`), source, { recursive: true });
        // Go's copy is read-only.
        await runToEnd('chmod', ['-R', 'u+w', source], DOWNLOAD_ENDS_MS);
        await keepOnlyAws(source);
        await buildProgram('External Secrets Operator', OPERATOR_VERSION, source, program, '-s -w', say);
        await writeFile(join(folder, DEFINITIONS), await definitionsIn(join(source, 'config', 'crds', 'bases')));
      });
    },
    () => say('waiting for another lab that is building External Secrets Operator'),
  );
  return { program: join(entry, 'external-secrets'), definitions: join(entry, DEFINITIONS) };
}

async function definitionsIn(folder: string): Promise<string> {
  const files = (await readdir(folder)).filter((name) => name.includes('external-secrets.io_'));
  return (await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))).join('\n---\n');
}

/** With its forty other providers the operator would take three times as long to build. Nothing else of it is changed. */
async function keepOnlyAws(source: string): Promise<void> {
  for (const [kind, name] of Object.entries({ provider: 'aws', generator: 'password' })) {
    const file = join(source, 'pkg', kind, 'register', 'register.go');
    await writeFile(file, `package register\n\nimport _ "${OPERATOR_MODULE}/pkg/${kind}/${name}"\n`);
  }
}

/** Has something done with a folder beside what is built, which is gone afterwards. */
async function withSources(folder: string, work: (sources: string) => Promise<void>): Promise<void> {
  const sources = join(folder, 'sources');
  await mkdir(sources);
  await work(sources);
  await rm(sources, { recursive: true });
}

/** What `kubectl version` shows; without it a server calls itself v0.0.0-master. */
function versionFlags(): string {
  const [major, minor] = KUBERNETES_VERSION.slice(1).split('.');
  const values = { gitVersion: KUBERNETES_VERSION, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' };
  return ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version']
    .flatMap((name) => Object.entries(values).map(([key, value]) => `-X ${name}.${key}=${value}`))
    .join(' ');
}

/** Where Go keeps the source of a module, downloaded if need be. */
async function moduleFolder(module: string): Promise<string> {
  const { succeeded, output } = await runToEnd(goProgram(), ['mod', 'download', '-json', module], DOWNLOAD_ENDS_MS, {
    cwd: '/',
  });
  const folder = /"Dir": "(.*)"/.exec(output)?.[1];
  if (succeeded && folder !== undefined) return folder;
  throw unavailable(`${module} cannot be downloaded (${lastLines(output)})`, `go mod download ${module}`);
}

async function buildProgram(
  name: string,
  version: string,
  source: string,
  program: string,
  linkerFlags: string,
  say: Report,
): Promise<void> {
  const go = goProgram();
  say(`building ${name} ${version} with Go (minutes, once; Go itself keeps up to 5 GB of caches)`);
  const startedAt = Date.now();
  let packages = 0;
  const progress = setInterval(
    () => say(`still building ${name}: ${packages} packages in ${secondsSince(startedAt)}`),
    PROGRESS_EVERY_MS,
  );
  const built = await runToEnd(
    go,
    ['build', '-v', '-trimpath', '-buildvcs=false', COMPILER_FLAGS, '-ldflags', linkerFlags, '-o', program, '.'],
    BUILD_ENDS_MS,
    { cwd: source, env: { ...process.env, ...COMPILER_SETTINGS }, onLine: () => (packages += 1) },
  );
  clearInterval(progress);
  if (!built.succeeded) {
    // Go says so of a module that it could not fetch; everything else that has been seen was the fault of an older Go.
    const unfetched = /dial tcp|module lookup disabled|proxyconnect|i\/o timeout/.test(built.output);
    throw unavailable(
      `building ${name} failed (${lastLines(built.output)})`,
      unfetched
        ? 'go env GOPROXY, which must name a module proxy that can be reached from here'
        : 'go version, which must say 1.24.6 or later',
    );
  }
  say(`built ${name} in ${secondsSince(startedAt)}`);
}

function goProgram(): string {
  const reason = kubernetesUnavailable();
  if (reason) throw reason;
  return onPath('go') ?? 'go';
}

function unavailable(reason: string, command: string): PartUnavailable {
  return new PartUnavailable('Kubernetes', reason, command);
}
