import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer } from 'smtp-server';
import { startLoopbackServer } from '../lab/loopback-server';
import { LOOPBACK } from '../lab/ports';

/** What an HTTP service was sent. */
export interface ReceivedPost {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** An HTTP service that takes notifications. */
export interface HttpReceiver {
  origin: string;
  received: ReceivedPost[];
  /** What it answers from now on, `'nothing'` to leave a request without an answer, or what says so at each request. */
  answer(answer: Answer | (() => Answer)): void;
  stop(): Promise<void>;
}

type Answer = number | 'nothing';

export async function startHttpReceiver(): Promise<HttpReceiver> {
  const received: ReceivedPost[] = [];
  let answer: Answer | (() => Answer) = 202;
  const { origin, stop } = await startLoopbackServer((request, response) => {
    void text(request).then((body) => {
      received.push({ path: request.url ?? '', headers: request.headers, body });
      const status = typeof answer === 'function' ? answer() : answer;
      // What it answers must not get anywhere.
      if (status !== 'nothing') response.writeHead(status, { location: '/elsewhere' }).end(request.url);
    });
  });
  return {
    origin,
    received,
    answer(next) {
      answer = next;
    },
    stop,
  };
}

/** What a mail server was sent. */
export interface ReceivedMail {
  from: string;
  to: string[];
  /** Headers and text. */
  message: string;
}

/** A mail server that lets one login in, without TLS. */
export interface MailReceiver {
  port: number;
  received: ReceivedMail[];
  /** It refuses every message from now on, with this code; none to take them. */
  refuse(responseCode: number | undefined): void;
  stop(): Promise<void>;
}

export async function startMailReceiver(login: { username: string; password: string }): Promise<MailReceiver> {
  const received: ReceivedMail[] = [];
  let refused: number | undefined;
  const server = new SMTPServer({
    hideSTARTTLS: true,
    allowInsecureAuth: true,
    onAuth({ username, password }, _session, done) {
      if (username === login.username && password === login.password) return done(null, { user: username });
      // As servers do that say more than they should.
      return done(new Error(`no login ${username} with ${password}`));
    },
    onData(stream, { envelope }, done) {
      void text(stream).then((message) => {
        if (refused !== undefined) return done(Object.assign(new Error('not today'), { responseCode: refused }));
        const { mailFrom, rcptTo } = envelope;
        received.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          message,
        });
        return done();
      });
    },
  });
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, () => resolve()));
  return {
    port: (server.server.address() as AddressInfo).port,
    received,
    refuse(responseCode) {
      refused = responseCode;
    },
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
