import { readFile } from 'node:fs/promises';
import type { ApiKeyRequest } from '../src/activities/api-keys/provider';
import { outsideCalls, runInActivityScope } from '../src/activities/boundary/activity-scope';
import { projectFile } from './lab/project';
import { createAcmeProvider } from './testbed/example-provider';
import { startFakeKeyService } from './testbed/fake-key-service';
import type { FakeKeyService } from './testbed/fake-key-service';

const REQUEST: ApiKeyRequest = {
  label: 'keyturn/dev/acme/run',
  idempotencyKey: 'run',
  since: new Date().toISOString(),
};

let service: FakeKeyService;
beforeEach(async () => {
  service = await startFakeKeyService({ maxKeys: 2 });
});
afterEach(() => service.stop());

const provider = (token = service.adminToken) => createAcmeProvider(service.url, token, 'dev/acme');

async function failureOf(work: Promise<unknown>): Promise<{ type: string; message: string }> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error as { type: string; message: string };
}

test('the provider that docs/providers.md shows is the one that is tested here, to the letter', async () => {
  const code = await readFile(projectFile('test', 'testbed', 'example-provider.ts'), 'utf8');
  const shown = await readFile(projectFile('docs', 'providers.md'), 'utf8');
  expect(shown).toContain(`\`\`\`ts\n${code}\`\`\``);
});

test('it does what the interface asks: a key is created, found, tried, switched off and on, and deleted', async () => {
  await runInActivityScope(async () => {
    const acme = provider();
    const key = await acme.create(REQUEST);
    expect(await acme.lastUsed?.(key.id)).toBeUndefined();
    expect(await acme.verify(key)).toBe('accepted');
    const [listed] = (await acme.list?.()) ?? [];
    expect(listed).toMatchObject({ id: key.id, label: REQUEST.label, active: true });
    expect(await acme.lastUsed?.(key.id)).toBe(listed?.lastUsedAt);

    await acme.deactivate?.(key.id);
    expect(await acme.verify(key)).toBe('refused');
    await acme.reactivate?.(key.id);
    expect(await acme.verify(key)).toBe('accepted');
    for (const _twice of [1, 2]) await acme.delete?.(key.id);
    await acme.deactivate?.(key.id);
    expect(await acme.verify(key)).toBe('refused');
    expect(outsideCalls().map(({ system, operation }) => `${system} ${operation}`)).toContain('acme create');
  });
});

test('it says why it could not, and quotes nothing of what it was answered', async () => {
  const acme = provider();
  const values: string[] = [];
  for (const label of ['one', 'two']) values.push((await acme.create({ ...REQUEST, label })).value);
  const failures = [await failureOf(acme.create(REQUEST)), await failureOf(provider('wrong-token').create(REQUEST))];
  service.answerWith('GET /keys', { status: 429 });
  failures.push(await failureOf(acme.list?.() ?? Promise.resolve()));
  service.loseAnswers('GET /whoami');
  failures.push(await failureOf(acme.verify({ value: values[0] ?? '' })));
  expect(failures.map(({ type }) => type)).toEqual([
    'TooManyKeys',
    'PermissionDenied',
    'Throttled',
    'TargetUnavailable',
  ]);
  for (const { message } of failures) {
    expect(message).toContain('dev/acme');
    for (const value of [service.adminToken, 'wrong-token', ...values]) expect(message).not.toContain(value);
  }
});
