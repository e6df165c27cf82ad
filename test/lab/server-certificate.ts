import { join } from 'node:path';
import { onPath } from './executables';
import { PartUnavailable } from './part';
import { lastLines, runToEnd } from './processes';

/**
 * A self-signed certificate for 127.0.0.1 and localhost, which is its own authority.
 *
 * @throws {PartUnavailable} when there is no openssl
 */
export async function makeServerCertificate(folder: string): Promise<{ certificateFile: string; keyFile: string }> {
  const openssl = onPath('openssl');
  const command = 'install openssl, so that a test certificate can be made';
  if (openssl === undefined) throw new PartUnavailable('PostgreSQL with TLS', 'there is no openssl on PATH', command);
  const certificateFile = join(folder, 'server.crt');
  const keyFile = join(folder, 'server.key');
  const made = await runToEnd(
    openssl,
    [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '7', '-subj', '/CN=localhost'],
      ...['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-keyout', keyFile, '-out', certificateFile],
    ],
    30_000,
  );
  if (made.succeeded) return { certificateFile, keyFile };
  throw new PartUnavailable('PostgreSQL with TLS', `openssl failed (${lastLines(made.output)})`, command);
}
