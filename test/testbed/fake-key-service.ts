import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { LOOPBACK } from '../lab/ports';
import { createFaults } from './fake-key-service-faults';
import type { FakeKeyServiceFaults, OddAnswer } from './fake-key-service-faults';
import { createKeyRing } from './fake-key-service-keys';
import type { FakeKey } from './fake-key-service-keys';

export { httpProviderOf } from './fake-key-service-declaration';

export interface FakeKeyServiceOptions {
  /** How many keys the account may have; the next one is answered with 409. 5 by default. */
  maxKeys?: number;
  /** Whether a repeated `Idempotency-Key` gets the first answer again; it does by default. */
  honoursIdempotencyKeys?: boolean;
  /** How long a new key is refused before it is valid everywhere, in milliseconds. 0 by default. */
  validAfterMs?: number;
}

/**
 * A REST service that issues API keys: `POST /keys`, `GET /keys`, `POST /keys/:id/deactivate`, `POST /keys/:id/activate` and
 * `DELETE /keys/:id` for the administrator, and `GET /whoami` for a key's bearer. A value is shown only when its key is created. Its
 * error answers quote what they were sent, as careless services do.
 */
export interface FakeKeyService extends FakeKeyServiceFaults {
  url: string;
  /** For the administrator's secret: `{"token": …}`. */
  adminToken: string;
  stop(): Promise<void>;
  /** The keys that there are now. */
  keys(): FakeKey[];
  /** The values of all keys that there ever were, for scans. */
  everyValue(): string[];
  /** Issues a key without a request. @throws Error when there are as many as are allowed. */
  issue(name: string): FakeKey;
  /** Removes a key without a request, as a person does in the service's console. */
  remove(id: string): void;
  /** How often a value was accepted; 0 for a key that is gone. */
  uses(value: string): number;
  setLastUsed(id: string, at: Date | undefined): void;
  /** How many requests there were to a route such as `POST /keys/:id/deactivate`. */
  requests(route: string): number;
  /** Whether new connections are cut at once, as long as it is on. */
  refuseConnections(on: boolean): void;
}

interface Received {
  route: string;
  id: string;
  bearer: string;
  idempotencyKey?: string;
  body: string;
}

export async function startFakeKeyService(options: FakeKeyServiceOptions = {}): Promise<FakeKeyService> {
  const adminToken = `fka_${randomBytes(24).toString('base64url')}`;
  const ring = createKeyRing(options);
  const stopping = new AbortController();
  const { faults, next } = createFaults(stopping.signal);
  const requests = new Map<string, number>();
  const firstAnswers = new Map<string, OddAnswer>();
  let refusing = false;

  const complaint = (status: number, code: string, { bearer, body }: Received) =>
    json(status, { error: { code, message: `${code}: ${bearer} ${body}` } });

  function create(request: Received): OddAnswer {
    const { name } = JSON.parse(request.body) as { name?: unknown };
    if (typeof name !== 'string') return complaint(422, 'name_missing', request);
    const key = ring.issue(name);
    if (!key) return complaint(409, 'too_many_keys', request);
    return json(201, { data: { id: key.id, name: key.name, secret: key.value } });
  }

  function createOnce(request: Received): OddAnswer {
    const { idempotencyKey, body } = request;
    if (idempotencyKey === undefined || options.honoursIdempotencyKeys === false) return create(request);
    const known = `${idempotencyKey} ${createHash('sha256').update(body).digest('hex')}`;
    const answer = firstAnswers.get(known) ?? create(request);
    if (answer.status === 201) firstAnswers.set(known, answer);
    return answer;
  }

  function administer(request: Received): OddAnswer {
    if (request.bearer !== adminToken) return complaint(401, 'not_an_administrator', request);
    if (request.route === 'POST /keys') return createOnce(request);
    if (request.route === 'GET /keys') return json(200, { data: [...ring.keys.values()].map(listed) });
    const key = ring.keys.get(request.id);
    if (!key) return complaint(404, 'no_such_key', request);
    switch (request.route) {
      case 'POST /keys/:id/deactivate':
        key.active = false;
        return json(200, { data: listed(key) });
      case 'POST /keys/:id/activate':
        key.active = true;
        return json(200, { data: listed(key) });
      case 'DELETE /keys/:id':
        ring.keys.delete(key.id);
        return { status: 204 };
      default:
        return complaint(404, 'no_such_route', request);
    }
  }

  function answerTo(request: Received): OddAnswer {
    if (request.route !== 'GET /whoami') return administer(request);
    return ring.use(request.bearer) ? json(200, { data: { account: 'acme' } }) : complaint(401, 'unknown_key', request);
  }

  const server = createServer((incoming, response) => {
    void (async () => {
      const request = await received(incoming);
      requests.set(request.route, (requests.get(request.route) ?? 0) + 1);
      const fault = next(request.route);
      await fault.send(response, fault.takesEffect ? answerTo(request) : { status: 500 });
    })().catch(() => response.destroy());
  });
  server.on('connection', (socket) => {
    if (refusing) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));

  const known = (id: string): FakeKey => {
    const key = ring.keys.get(id);
    if (!key) throw new Error(`the fake key service has no key ${id}`);
    return key;
  };

  return {
    ...faults,
    url: `http://${LOOPBACK}:${(server.address() as AddressInfo).port}`,
    adminToken,
    stop: () =>
      new Promise((resolve) => {
        stopping.abort();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    keys: () => [...ring.keys.values()].map((key) => ({ ...key })),
    everyValue: () => [...ring.everyValue],
    issue(name) {
      const key = ring.issue(name);
      if (!key) throw new Error('the fake key service has as many keys as it allows');
      return { ...key };
    },
    remove: (id) => void ring.keys.delete(known(id).id),
    uses: (value) => [...ring.keys.values()].find((key) => key.value === value)?.uses ?? 0,
    setLastUsed(id, at) {
      known(id).lastUsedAt = at?.toISOString();
    },
    requests: (route) => requests.get(route) ?? 0,
    refuseConnections(on) {
      refusing = on;
      if (on) server.closeAllConnections();
    },
  };
}

async function received(request: IncomingMessage): Promise<Received> {
  const { pathname } = new URL(request.url ?? '/', 'http://service');
  const [, collection = '', id = '', act] = pathname.split('/');
  const path = ['', collection, ...(id ? [':id'] : []), ...(act === undefined ? [] : [act])].join('/');
  const idempotencyKey = request.headers['idempotency-key'];
  return {
    route: `${request.method} ${path}`,
    id: decodeURIComponent(id),
    bearer: /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1] ?? '',
    ...(typeof idempotencyKey === 'string' && { idempotencyKey }),
    body: await text(request),
  };
}

function listed({ id, name, active, createdAt, lastUsedAt }: FakeKey) {
  return { id, name, active, created_at: createdAt, last_used_at: lastUsedAt ?? null };
}

function json(status: number, body: object): OddAnswer {
  return { status, body: JSON.stringify(body) };
}
