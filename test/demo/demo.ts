/**
 * `npm run demo`: rotations on real parts, one killed in the middle, one that fails, one aborted; with `-- --kubernetes` two more in a
 * cluster. Exit code 0 only if all was as promised.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { parse, stringify } from 'yaml';
import { KeyturnClient } from '../../src/client/keyturn-client';
import { table } from '../../src/client/table';
import { secretsManagerOf } from '../lab/aws';
import { kubernetesUnavailable } from '../lab/kubernetes/build';
import { DEPENDENTS, startSampleCluster, type SampleCluster } from '../lab/kubernetes/sample';
import { startLab } from '../lab/lab';
import type { Lab } from '../lab/lab';
import { PartUnavailable, secondsSince } from '../lab/part';
import { sampleCatalogFor } from '../lab/sample-catalog';
import { seedSampleCatalog } from '../lab/seed';
import { stopSignal } from '../lab/stop-signals';
import { spawnWorker } from '../lab/worker-process';
import type { WorkerProcess } from '../lab/worker-process';
import { startFakeKeyService } from '../testbed/fake-key-service';
import { createPauses, PAUSES_DIRECTORY } from '../testbed/pauses';
import { abortInGracePeriod, QUIET_PERIOD, rotateWithGracePeriod } from './api-key-story';
import { BrokenRelease } from './application';
import { rollBackInKubernetes, rotateInKubernetes } from './kubernetes-story';
import type { Chapter } from './stage';
import { failAndRollBack, killWorker, rotateAppSecret, rotateUnderLoad } from './story';

const say = (line: string): void => console.log(line);

const WITH_KUBERNETES = process.argv.slice(2).includes('--kubernetes');

/** The worker that can be stopped at an exact point of a rotation; otherwise the real one. */
const WORKER_PROGRAM = 'dist/test/testbed/test-worker.js';

async function main(): Promise<number> {
  const told = tell();
  const end = await Promise.race([told, stopSignal()]);
  return typeof end === 'string' ? 1 : (end ?? 1);
}

async function tell(): Promise<number> {
  const unavailable = WITH_KUBERNETES ? kubernetesUnavailable() : undefined;
  if (unavailable) throw unavailable;
  const startedAt = Date.now();
  say('Starting the real parts:');
  const lab = await startLab({ report: (line) => say(`  ${line}`), kubernetes: WITH_KUBERNETES });
  const directory = await mkdtemp(join(tmpdir(), 'keyturn-demo-'));
  const connection = await Connection.connect({ address: lab.temporal.address });
  const secretsManager = secretsManagerOf(lab.aws);
  const keyService = await startFakeKeyService();
  const workers: WorkerProcess[] = [];
  let release: BrokenRelease | undefined;
  let sample: SampleCluster | undefined;
  const storyStartedAt = Date.now();
  try {
    await seedSampleCatalog(lab, keyService);
    const catalog = join(directory, 'keyturn.yaml');
    await writeFile(catalog, await sampleCatalogFor(keyService));
    const startWorker = async () => {
      const worker = await spawnWorker(workerEnv(lab, catalog, directory), { program: WORKER_PROGRAM });
      workers.push(worker);
      await worker.ready;
      return worker;
    };
    const stage = {
      client: new KeyturnClient(new Client({ connection, namespace: lab.temporal.namespace })),
      secretsManager,
      keyService,
      pauses: createPauses(directory),
      startWorker,
      say,
    };
    const worker = await startWorker();
    const chapters = [
      await rotateAppSecret(stage, 'dev/jwt-secret'),
      await rotateUnderLoad(stage, 'dev/database/app', {
        what: 'single user',
        words: '\n2. One database login, its password changed in place, while an application keeps querying.',
        mayFail: true,
        oldIsRefused: true,
      }),
      await rotateUnderLoad(stage, 'dev/database/orders', {
        what: 'alternating users',
        words: '\n3. Two database logins that take turns, while an application keeps querying: it must not notice.',
        mayFail: false,
        oldIsRefused: false,
      }),
      await killWorker(stage, 'dev/database/app', worker),
    ];
    release = await BrokenRelease.start(secretsManager, 'dev/database/app');
    const { healthUrl } = release;
    await edit(catalog, 'database/app', {
      dependents: [{ http: { name: 'broken release', healthUrl, timeout: '3 seconds' } }],
    });
    chapters.push(await failAndRollBack(stage, 'dev/database/app'));
    await edit(catalog, 'api/payments', { quietPeriod: QUIET_PERIOD });
    chapters.push(await rotateWithGracePeriod(stage, 'dev/api/payments'));
    chapters.push(await abortInGracePeriod(stage, 'dev/api/payments'));
    if (WITH_KUBERNETES) {
      sample = await startSampleCluster(lab);
      const dependents = DEPENDENTS['database/orders'];
      await edit(catalog, 'database/orders', { dependents });
      chapters.push(await rotateInKubernetes(stage, sample, 'dev/database/orders'));
      const reports = { name: 'orders-reports', workloads: [{ deployment: 'orders-reports' }] };
      await edit(catalog, 'database/orders', {
        dependents: [...dependents, { kubernetes: { ...dependents[0].kubernetes, ...reports } }],
      });
      chapters.push(await rollBackInKubernetes(stage, sample, 'dev/database/orders'));
    }
    return close(chapters, secondsSince(storyStartedAt), secondsSince(startedAt));
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    await release?.stop();
    await sample?.stop();
    await keyService.stop();
    secretsManager.destroy();
    await connection.close();
    await lab.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

function workerEnv(lab: Lab, catalog: string, directory: string): Record<string, string> {
  return { ...lab.workerEnv, KEYTURN_CATALOG: catalog, [PAUSES_DIRECTORY]: directory };
}

/** Edits the catalog as an operator would: the next rotation goes by it. */
async function edit(catalog: string, secret: string, changes: Record<string, unknown>): Promise<void> {
  const content = parse(await readFile(catalog, 'utf8')) as {
    environments: { dev: { secrets: Record<string, Record<string, unknown>> } };
  };
  const { secrets } = content.environments.dev;
  secrets[secret] = { ...secrets[secret], ...changes };
  await writeFile(catalog, stringify(content));
}

function close(chapters: Chapter[], story: string, all: string): number {
  say('\nWhat happened (the last 12 characters of each version ID):\n');
  say(
    table([
      ['', 'secret', 'outcome', 'took', 'old version', 'now current', 'application', 'old credential', 'as promised'],
      ...chapters.map((c) => [
        c.what,
        c.secretId,
        c.outcome,
        c.took,
        c.oldVersion,
        c.newVersion,
        c.application,
        c.oldCredential,
        c.asPromised ? 'yes' : 'NO',
      ]),
    ]),
  );
  const kept = chapters.every(({ asPromised }) => asPromised);
  say(`\n${kept ? 'All of it was as promised' : 'NOT all of it was as promised'} (story ${story}, with start ${all}).`);
  const flag = WITH_KUBERNETES ? ' -- --kubernetes' : '';
  say(`Next: npm run lab${flag} keeps such a set-up running, with the web UI and commands to try.`);
  return kept ? 0 : 1;
}

main().then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    console.error(error instanceof PartUnavailable ? `\n${error.message}` : error);
    process.exit(1);
  },
);
