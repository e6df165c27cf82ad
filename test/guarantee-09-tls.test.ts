import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from './lab/postgres';
import type { Postgres } from './lab/postgres';
import { makeServerCertificate } from './lab/server-certificate';
import { createSubject } from './testbed/subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { startWireTap } from './testbed/wire-tap';
import type { WireTap } from './testbed/wire-tap';

const STRATEGIES = ['single-user', 'alternating-users'] as const;

/** What a client sends to ask for TLS, and nothing else: https://www.postgresql.org/docs/18/protocol-message-formats.html */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

describe('a server without TLS', () => {
  let bed: Testbed;
  let tap: WireTap;
  beforeAll(async () => {
    bed = await openTestbed();
    tap = await startWireTap(bed.databases.port);
    await bed.startWorker();
  });
  afterAll(() => bed.close());
  afterAll(async () => {
    await tap.stop();
  });

  test.each(
    STRATEGIES.flatMap((strategy) =>
      (['require', 'verify-ca', 'verify-full'] as const).map((m) => [strategy, m] as const),
    ),
  )('%s: is refused under sslmode %s; it hears of no login, and nothing is changed', async (strategy, sslmode) => {
    const subject = await createSubject(bed, strategy, `plain/${strategy}-${sslmode}`, {}, { port: tap.port, sslmode });
    const before = await subject.situation();
    const connections = tap.connections.length;
    const { type, message, details } = await failureOf(bed.rotate(subject.secret));
    expect(type).toBe('RotationRefused');
    expect(details).toMatchObject({ cause: { type: 'TlsRefused' } });
    expect(message).toContain(`offers no TLS, and sslmode ${sslmode} asks for it.`);
    expect(tap.connections.length).toBeGreaterThan(connections);
    for (const { sent } of tap.connections.slice(connections)) expect(sent).toEqual(SSL_REQUEST);
    expect(await subject.situation()).toEqual(before);
  });

  test.each([
    ['the catalog asks for TLS and the secret says nothing', { sslmode: 'verify-full' }, { sslmode: undefined }],
    ["the secret says ssl: true in AWS's words", {}, { sslmode: undefined, ssl: true }],
  ])('is refused where %s', async (_what, declaration, fields) => {
    const secret = `plain/${Object.keys(declaration).length}`;
    await createSubject(bed, 'single-user', secret, declaration, { port: tap.port, ...fields });
    const { details } = await failureOf(bed.rotate(secret));
    expect(details).toMatchObject({ cause: { type: 'TlsRefused' } });
  });

  test.each(['prefer', 'allow'])(
    'a secret with sslmode %s, which may drop TLS silently, is refused',
    async (sslmode) => {
      const { secret } = await createSubject(bed, 'single-user', `plain/${sslmode}`, {}, { port: tap.port, sslmode });
      const { type, message } = await failureOf(bed.rotate(secret));
      expect(type).toBe('RotationRefused');
      expect(message).toContain('its sslmode is none of disable, require, verify-ca, verify-full');
    },
  );
});

describe('a server with TLS', () => {
  let bed: Testbed;
  let tap: WireTap;
  let postgres: Postgres;
  let folder: string;
  /** The authority of another server. */
  let foreignCa: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keyturn-foreign-ca-'));
    foreignCa = (await makeServerCertificate(folder)).certificateFile;
    postgres = await startPostgres(() => undefined, { tls: true });
    bed = await openTestbed({}, postgres.superuserUrl);
    tap = await startWireTap(postgres.port);
    await bed.startWorker();
  });
  afterAll(() => bed.close());
  afterAll(async () => {
    await tap.stop();
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const create = (
    strategy: (typeof STRATEGIES)[number],
    secret: string,
    sslmode: string,
    sslRootCert?: string,
    host = '127.0.0.1',
  ) =>
    createSubject(
      bed,
      strategy,
      secret,
      { sslmode, ...(sslRootCert !== undefined && { sslRootCert }) },
      { port: tap.port, sslmode, host },
    );

  test.each(
    STRATEGIES.flatMap((strategy) => [
      [strategy, 'verify-full', 'ca'] as const,
      [strategy, 'verify-ca', 'ca'] as const,
      [strategy, 'require', undefined] as const,
    ]),
  )('%s: is rotated under sslmode %s, and nothing is legible on the wire', async (strategy, sslmode, ca) => {
    const subject = await create(strategy, `tls/${strategy}-${sslmode}`, sslmode, ca && postgres.caFile);
    const connections = tap.connections.length;
    await bed.rotate(subject.secret);
    expect(await subject.opens()).toBe(true);
    const sent = tap.connections.slice(connections).map((connection) => connection.sent);
    expect(sent.length).toBeGreaterThan(0);
    for (const bytes of sent) {
      expect(bytes.subarray(0, SSL_REQUEST.length)).toEqual(SSL_REQUEST);
      for (const legible of ['ALTER', 'SELECT', 'SCRAM', ...subject.logins])
        expect(bytes.includes(legible)).toBe(false);
    }
  });

  const CERTIFICATE_REFUSED: [what: string, sslmode: string, ca: () => string | undefined, host: string][] = [
    ['another authority is trusted', 'verify-full', () => foreignCa, '127.0.0.1'],
    ['another authority is trusted', 'verify-ca', () => foreignCa, '127.0.0.1'],
    ['only public authorities are trusted', 'verify-full', () => undefined, '127.0.0.1'],
    // Another way to write 127.0.0.1, for which the certificate was not made.
    ['the certificate is for another host', 'verify-full', () => postgres.caFile, '127.1'],
  ];
  test.each(CERTIFICATE_REFUSED)(
    'is refused where %s (%s), and nothing is changed',
    async (what, sslmode, ca, host) => {
      const secret = `tls/${CERTIFICATE_REFUSED.findIndex(([w, mode]) => w === what && mode === sslmode)}`;
      const subject = await create('single-user', secret, sslmode, ca(), host);
      const before = await subject.situation();
      const { type, message, details } = await failureOf(bed.rotate(secret));
      expect(type).toBe('RotationRefused');
      expect(details).toMatchObject({ cause: { type: 'TlsRefused' } });
      expect(message).toContain(`is not trusted under sslmode ${sslmode}`);
      expect(message).toContain('sslRootCert');
      expect(await subject.situation()).toEqual(before);
    },
  );

  test("verify-ca does not ask for the host's name", async () => {
    const subject = await create('single-user', 'tls/other-host', 'verify-ca', postgres.caFile, '127.1');
    await bed.rotate(subject.secret);
    expect(await subject.opens()).toBe(true);
  });
});
