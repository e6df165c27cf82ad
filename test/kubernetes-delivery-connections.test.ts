import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { requestsTo } from '../src/activities/delivery/kubernetes/requests';
import type { Send } from '../src/activities/delivery/kubernetes/requests';
import { LOOPBACK } from './lab/ports';

let server: Server;
let send: Send;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
/** The connection of each request that arrived. */
let connections: Socket[];

beforeEach(async () => {
  connections = [];
  answer = (_request, response) => void response.end('answered');
  server = createServer((request, response) => {
    connections.push(request.socket);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
  send = requestsTo(`http://${LOOPBACK}:${(server.address() as AddressInfo).port}`);
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const call = async () => text(await send('/', {}, undefined));

test('calls after one another share a connection', async () => {
  await call();
  await call();
  await call();
  expect(new Set(connections).size).toBe(1);
});

test('a call on a connection that is cut while it waits is made once more, on a new one', async () => {
  await call();
  answer = (request, response) => {
    if (request.socket === connections[0]) request.socket.resetAndDestroy();
    else response.end('answered');
  };
  await expect(call()).resolves.toBe('answered');
  expect(connections).toHaveLength(3);
  expect(new Set(connections).size).toBe(2);
});

test('a call is made no third time', async () => {
  await call();
  answer = (request) => void request.socket.resetAndDestroy();
  await expect(call()).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(connections).toHaveLength(3);
});

test('a call on a new connection that is cut is not made again', async () => {
  answer = (request) => void request.socket.resetAndDestroy();
  await expect(call()).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(connections).toHaveLength(1);
});

test('an answer that breaks off is not asked for again', async () => {
  await call();
  answer = (request, response) => {
    response.write('half of it');
    setTimeout(() => request.socket.resetAndDestroy(), 20);
  };
  await expect(call()).rejects.toThrow('aborted');
  expect(connections).toHaveLength(2);
});
