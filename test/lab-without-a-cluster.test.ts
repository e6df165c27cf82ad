import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onPath } from './lab/executables';
import { startProcess } from './lab/processes';
import { PROJECT_ROOT, projectFile } from './lab/project';

/** Tests of a cluster, which would start one as soon as they ran. */
const FILE = 'test/kubernetes/sync.test.ts';
/** What the other parts of the lab ask for by name. */
const PROGRAMS = ['id', 'openssl', 'rm', 'sleep'];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'without-a-cluster-'));
  for (const name of PROGRAMS) {
    const program = onPath(name);
    if (program !== undefined) await symlink(program, join(folder, name));
  }
});
afterEach(() => rm(folder, { recursive: true }));

/** A Go whose every build ends with these words. */
async function putFakeGo(words: string): Promise<void> {
  await writeFile(join(folder, 'go'), `#!/bin/sh\necho '${words}' >&2\nexit 1\n`, { mode: 0o755 });
}

interface Results {
  testResults: { assertionResults: { ancestorTitles: string[]; status: string }[] }[];
}

/** Runs the cluster's tests on a machine that has nothing built; the other parts are those of these tests. */
async function runJest(ci: boolean): Promise<{ code: number | null; output: string; results?: Results }> {
  const { JEST_WORKER_ID: _worker, ...env } = process.env;
  const resultsFile = join(folder, 'results.json');
  const jest = startProcess(
    process.execPath,
    [
      projectFile('node_modules', 'jest', 'bin', 'jest.js'),
      ...['--selectProjects', 'kubernetes', '--runTestsByPath', FILE, '--json', `--outputFile=${resultsFile}`],
    ],
    { cwd: PROJECT_ROOT, env: { ...env, PATH: folder, KEYTURN_CACHE_DIR: join(folder, 'cache'), CI: String(ci) } },
  );
  const { code } = await jest.exited;
  const written = await readFile(resultsFile, 'utf8').catch(() => undefined);
  return { code, output: jest.output(), results: written === undefined ? undefined : (JSON.parse(written) as Results) };
}

const TOO_OLD = 'go: go.mod requires go >= 1.24.6 (running go 1.19.8; GOTOOLCHAIN=local)';
const NO_PROXY =
  'go: k8s.io/api@v0.33.13: Get "https://proxy.example.com/k8s.io/api/@v/v0.33.13.mod": dial tcp: no such host';

describe.each([
  ['without Go', undefined, 'there is no Go to build it with', 'install Go, version 1.24.6 or later'],
  ['with a Go that is too old', TOO_OLD, `building Kubernetes failed (${TOO_OLD})`, 'go version'],
  ['without a module proxy', NO_PROXY, `building Kubernetes failed (${NO_PROXY})`, 'go env GOPROXY'],
])('%s', (_, lastWords, reason, command) => {
  beforeEach(async () => {
    if (lastWords !== undefined) await putFakeGo(lastWords);
  });

  test('the tests that need a cluster are skipped with the reason and the command', async () => {
    const { code, results } = await runJest(false);
    const tests = results?.testResults.flatMap(({ assertionResults }) => assertionResults) ?? [];
    expect(tests.length).toBeGreaterThan(0);
    for (const { status, ancestorTitles } of tests) {
      expect(status).toBe('pending');
      expect(ancestorTitles[0]).toContain(`[skipped: Kubernetes is not available: ${reason}`);
      expect(ancestorTitles[0]).toContain(`This would help: ${command}`);
    }
    expect(code).toBe(0);
  }, 300_000);

  test('they fail with CI=true', async () => {
    const { code, output } = await runJest(true);
    expect(output).toContain(`Kubernetes is not available: ${reason}`);
    expect(code).toBe(1);
  });
});
