import { mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadCatalog } from '../src/catalog';
import { projectSecret } from './lab/kubernetes/pods/secret-volume';
import { withKubernetes } from './lab/kubernetes/sample';
import { projectFile } from './lab/project';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-pods-test-'));
});
afterEach(() => rm(folder, { recursive: true }));

const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('a Secret in a volume of the lab', () => {
  test('is switched as a whole: who follows ..data once reads keys of one version', async () => {
    const project = (version: number) => {
      const value = base64(String(version));
      return projectSecret(folder, { username: value, password: value });
    };
    await project(0);
    const seen = new Set<string>();
    let switching = true;
    async function readAllTheTime(): Promise<void> {
      while (switching) {
        const files = await realpath(join(folder, '..data')).catch(() => undefined);
        const [username, password] = await Promise.all(
          ['username', 'password'].map((key) => readFile(join(files ?? '', key), 'utf8').catch(() => undefined)),
        );
        // A folder that was replaced meanwhile has gone, half of it first.
        if (username === undefined || password === undefined) continue;
        expect(password).toBe(username);
        seen.add(username);
      }
    }
    const reading = readAllTheTime();
    for (let version = 1; version <= 100; version += 1) await project(version);
    switching = false;
    await reading;
    expect(seen.size).toBeGreaterThan(1);
    expect(await readFile(join(folder, 'password'), 'utf8')).toBe('100');
  });

  test('loses the keys that the Secret has lost, and leaves no earlier version behind', async () => {
    await projectSecret(folder, { old: base64('a'), kept: base64('b') });
    await projectSecret(folder, { kept: base64('c'), 'new.key': base64('d') });
    const names = await readdir(folder);
    expect(names.filter((name) => !name.startsWith('..')).sort()).toEqual(['kept', 'new.key']);
    expect(names.filter((name) => name.startsWith('..'))).toHaveLength(2);
    expect(await readFile(join(folder, 'new.key'), 'utf8')).toBe('d');
  });
});

test("the sample catalog of a lab with Kubernetes is one, and keeps the sample's comments", async () => {
  const sample = await readFile(projectFile('keyturn.yaml'), 'utf8');
  const text = withKubernetes(sample);
  const file = join(folder, 'keyturn.yaml');
  await writeFile(file, text);
  const catalog = await loadCatalog(file);
  expect(catalog.plan('dev', 'database/orders').dependents).toMatchObject([
    {
      kind: 'kubernetes',
      namespace: 'dev',
      restart: 'rollout',
      workloads: [{ kind: 'Deployment', name: 'orders-worker' }],
    },
    { kind: 'kubernetes', namespace: 'dev', restart: 'none', workloads: [] },
  ]);
  expect(catalog.plan('dev', 'session-secret').dependents).toHaveLength(1);
  expect(text.match(/#/g)?.length).toBe(sample.match(/#/g)?.length);
});
