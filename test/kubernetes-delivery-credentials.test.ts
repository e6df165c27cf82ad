import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cause } from '../src/rotation/errors';
import type { KubernetesDependent } from '../src/rotation/dependents';
import { startLoopbackServer } from './lab/loopback-server';
import type { LoopbackServer } from './lab/loopback-server';
import { DEPENDENT } from './testbed/kubernetes';
import { startDeliverer } from './testbed/kubernetes-deliverer';
import type { Deliverer } from './testbed/kubernetes-deliverer';

const PUSHED: KubernetesDependent = { ...DEPENDENT, sync: 'push', externalSecret: undefined, restart: 'none' };

let folder: string;
let kubeconfig: string;
let fakeApiServer: LoopbackServer;
/** The token that it accepts. */
let valid: string;
/** The tokens of the requests that arrived. */
let tokens: string[];
let deliverer: Deliverer;

beforeEach(async () => {
  tokens = [];
  fakeApiServer = await startLoopbackServer((request, response) => {
    const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
    tokens.push(token);
    request.resume();
    response.setHeader('content-type', 'application/json');
    if (token !== valid) response.writeHead(401).end('{"reason":"Unauthorized"}');
    else if (request.method === 'POST') response.writeHead(201).end('{"status":{"allowed":true}}');
    else response.writeHead(404).end('{"reason":"NotFound"}');
  });
  folder = await mkdtemp(join(tmpdir(), 'keyturn-credentials-'));
  kubeconfig = join(folder, 'kubeconfig');
  await writeToken('first-token');
  deliverer = startDeliverer(kubeconfig);
});
afterEach(async () => {
  await deliverer.kill();
  await fakeApiServer.stop();
  await rm(folder, { recursive: true });
});

const writeToken = (token: string) =>
  writeFile(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'fake',
      clusters: [{ name: 'fake', cluster: { server: fakeApiServer.origin, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'fake', user: { token } }],
      contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'fake' } }],
    }),
  );

test('credentials that were renewed since they were read are read anew when the API server refuses the old ones', async () => {
  valid = 'first-token';
  expect((await deliverer.look(PUSHED, false)).failure).toBeUndefined();
  valid = 'second-token';
  await writeToken('second-token');
  expect((await deliverer.look(PUSHED, false)).failure).toBeUndefined();
  const seen = tokens.length;
  expect((await deliverer.look(PUSHED, false)).failure).toBeUndefined();
  expect(new Set(tokens.slice(seen))).toEqual(new Set(['second-token']));
});

test('credentials that are refused twice are named, and read anew for the next call', async () => {
  valid = 'another-token';
  const { failure } = await deliverer.look(PUSHED, false);
  expect(failure).toMatchObject({ type: Cause.PermissionDenied, nonRetryable: true });
  expect(failure?.message).toContain("does not accept the worker's credentials");
  expect(tokens).toEqual(['first-token', 'first-token']);
  await writeToken('another-token');
  expect((await deliverer.look(PUSHED, false)).failure).toBeUndefined();
});
