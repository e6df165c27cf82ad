import { randomBytes } from 'node:crypto';
import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { Client, escapeIdentifier, escapeLiteral } from 'pg';
import type { RotationInput, RotationResult } from '../../src/rotation/types';
import { freePort } from '../lab/ports';
import { apiKeyLeakScenarios } from './api-key-leak-scenarios';
import type { Point } from './pauses';
import { QUOTING } from './quoting-aws';
import type { QuotingAws } from './quoting-aws';
import { textOf } from './scan';
import { startTalkativeDependent } from './talkative-dependent';
import { failureOf } from './testbed';
import type { Testbed } from './testbed';

/** A value that every encoding changes, and that PostgreSQL normalises before it hashes it. */
const canary = () => `Cä'n"a\\r y ª%/+&<>$\`{} ${randomBytes(9).toString('base64')}`;

/** What a scenario works with. */
export interface Stage {
  bed: Testbed;
  /** The Secrets Manager of the bed's workers. */
  aws: QuotingAws;
  /** Takes a value that was used although it is in no secret. */
  used(value: string): void;
}

/** How scenarios rotate, and say how that must end. */
export interface Expectations {
  rotates(secret: string, input?: Partial<RotationInput>, type?: string): Promise<RotationResult>;
  /** @param expected the types of the failure and of its cause. */
  fails(expected: string, rotation: Promise<unknown>): Promise<void>;
  /** Does something while a rotation stands still. */
  whileAt(
    secret: string,
    where: Omit<Point, 'secretId'>,
    act: () => Promise<unknown>,
  ): Promise<WorkflowHandleWithFirstExecutionRunId>;
}

/** Rotations that succeed, and rotations that fail in every way that brings an error near to a value. */
export function leakScenarios({ bed, aws, used }: Stage): Record<string, () => Promise<void>> {
  const { databases, secrets, pauses } = bed;
  const asSuperuser = databases.asSuperuser;
  const quick = { stepTimeout: '6 seconds', rollbackTimeout: '10 seconds' };

  async function rotates(secret: string, input: Partial<RotationInput> = {}, type?: string): Promise<RotationResult> {
    const result = await bed.rotate(secret, input, type);
    const expected = input.dryRun ? 'dry-run' : 'rotated';
    if (result.outcome !== expected) throw new Error(`${secret} ended ${result.outcome} and not ${expected}`);
    return result;
  }

  async function fails(expected: string, rotation: Promise<unknown>): Promise<void> {
    const { type, message, details } = await failureOf(rotation);
    const ended = `${type} ${(details as { cause: { type: string } }).cause.type}`;
    if (ended !== expected) throw new Error(`it ended ${ended} and not ${expected}: ${message}`);
  }

  async function whileAt(secret: string, where: Omit<Point, 'secretId'>, act: () => Promise<unknown>) {
    const point = { secretId: secrets.idOf(secret), ...where };
    await pauses.stopAt(point);
    const handle = await bed.start(secret);
    await pauses.reached(point);
    bed.alsoScan('a running rotation as the server describes it', textOf((await handle.describe()).raw));
    await act();
    await pauses.goOn(point);
    return handle;
  }

  const singleUser = (
    secret: string,
    declaration: Record<string, unknown> = {},
    fields: Record<string, unknown> = {},
  ) => databases.singleUser(secret, { password: canary(), declaration, fields });
  const alternatingUsers = (secret: string, declaration: Record<string, unknown> = {}) =>
    databases.alternatingUsers(secret, { password: canary(), declaration });

  async function appSecret(secret: string, text: string, declaration: Record<string, unknown> = {}): Promise<void> {
    await secrets.create(secret, text);
    await bed.declare({ [secret]: { type: 'app-secret', ...declaration } });
  }

  async function setPassword(username: string, password: string): Promise<void> {
    used(password);
    await asSuperuser(`ALTER ROLE ${escapeIdentifier(username)} PASSWORD ${escapeLiteral(password)}`);
  }

  return {
    ...apiKeyLeakScenarios({ bed, aws, used, canary }, { rotates, fails, whileAt }),
    'creates an application secret': async () => {
      await bed.declare({ created: { type: 'app-secret' } });
      await rotates('created');
    },
    'rotates an application secret, forwards, back, and as a rehearsal': async () => {
      await appSecret('app', canary());
      await rotates('app', { dryRun: true });
      await rotates('app');
      await rotates('app', {}, 'rollbackSecret');
    },
    'rotates one field of a JSON secret': async () => {
      await appSecret('field', JSON.stringify({ key: canary(), other: canary(), within: { token: canary() } }), {
        field: 'key',
      });
      await rotates('field');
    },
    'changes a password in place, forwards, back, and as a rehearsal': async () => {
      await singleUser('single');
      await rotates('single', { dryRun: true });
      await rotates('single');
      await rotates('single', {}, 'rollbackSecret');
    },
    'changes a password as the administrator': async () => {
      const { username } = await alternatingUsers('by-admin');
      const adminSecret = 'by-admin-admin';
      await bed.declare({ 'by-admin': { type: 'database', strategy: 'single-user', sslmode: 'disable', adminSecret } });
      await rotates('by-admin');
      await asSuperuser(`ALTER ROLE ${escapeIdentifier(`${username}_admin`)} NOLOGIN`);
      await fails('RotationRefused NoWayIn', bed.rotate('by-admin'));
    },
    'takes turns between two logins, forwards and back': async () => {
      await alternatingUsers('turns');
      await rotates('turns', { dryRun: true });
      for (let turn = 0; turn < 3; turn += 1) await rotates('turns', { gracePeriod: '0 s' });
      await rotates('turns', {}, 'rollbackSecret');
    },
    'leaves an old login unlocked that has an open session': async () => {
      const { username } = await alternatingUsers('session', { ...quick, gracePeriod: '0 s' });
      const { password, dbname } = JSON.parse(await secrets.value('session')) as Record<string, string>;
      const { host, port } = databases;
      const session = new Client({ host, port, database: dbname, user: username, password });
      await session.connect();
      const { warnings } = await rotates('session').finally(() => session.end());
      if (!warnings) throw new Error('it gave no warning');
    },
    'is refused a wrong password': async () => {
      const { username } = await singleUser('wrong');
      await setPassword(username, canary());
      await fails('RotationRefused CurrentCredentialRefused', bed.rotate('wrong'));
    },
    'is refused a locked login': async () => {
      const { username } = await singleUser('locked');
      await asSuperuser(`ALTER ROLE ${escapeIdentifier(username)} NOLOGIN`);
      await fails('RotationRefused CurrentCredentialRefused', bed.rotate('locked'));
    },
    'does not reach the database': async () => {
      await singleUser('unreachable', quick, { port: await freePort() });
      await fails('RotationRefused TargetUnavailable', bed.rotate('unreachable'));
    },
    'does not find the database': async () => {
      await singleUser('no-database', {}, { dbname: 'nowhere' });
      await fails('RotationRefused SecretUnusable', bed.rotate('no-database'));
    },
    'is offered no TLS': async () => {
      await singleUser('no-tls', {}, { sslmode: 'require' });
      await fails('RotationRefused TlsRefused', bed.rotate('no-tls'));
    },
    'finds text where JSON must be': async () => {
      await secrets.create('no-json', canary());
      await bed.declare({ 'no-json': { type: 'database', strategy: 'single-user', sslmode: 'disable' } });
      await fails('RotationRefused SecretUnusable', bed.rotate('no-json'));
      await appSecret('no-json-app', canary(), { field: 'key' });
      await fails('RotationRolledBack SecretUnusable', bed.rotate('no-json-app'));
    },
    'finds the value under other names': async () => {
      const [value, engine] = [canary(), canary()];
      await appSecret('no-field', JSON.stringify({ another: value, [value]: 1 }), { field: 'key' });
      await fails('RotationRolledBack SecretUnusable', bed.rotate('no-field'));
      await secrets.create('no-engine', JSON.stringify({ engine, port: engine, password: engine, sslmode: engine }));
      await bed.declare({ 'no-engine': { type: 'database', strategy: 'single-user', sslmode: 'disable' } });
      await fails('RotationRefused SecretUnusable', bed.rotate('no-engine'));
    },
    'finds bytes': async () => {
      const value = canary();
      used(value);
      await secrets.create('binary', '', { SecretBinary: Buffer.from(value) });
      await bed.declare({ binary: { type: 'app-secret' } });
      await fails('RotationRolledBack SecretUnusable', bed.rotate('binary'));
    },
    'would make a secret too long': async () => {
      const fields = { key: 'x', long: canary() };
      const room = 65_536 - Buffer.byteLength(JSON.stringify(fields));
      await appSecret(
        'long',
        JSON.stringify({
          ...fields,
          more: randomBytes(room)
            .toString('hex')
            .slice(0, room - 20),
        }),
        { field: 'key' },
      );
      await fails('RotationRolledBack SecretUnusable', bed.rotate('long'));
    },
    'may not create the second login': async () => {
      const { username } = await alternatingUsers('no-createrole');
      await asSuperuser(`ALTER ROLE ${escapeIdentifier(`${username}_admin`)} NOCREATEROLE`);
      await fails('RotationRolledBack PermissionDenied', bed.rotate('no-createrole'));
    },
    'finds a second login that is not its own': async () => {
      const { username } = await alternatingUsers('not-ours');
      await asSuperuser(`CREATE ROLE ${escapeIdentifier(`${username}_clone`)}`);
      await fails('RotationRolledBack LoginNotOurs', bed.rotate('not-ours'));
    },
    'has its ALTER ROLE refused': async () => {
      const { username } = await singleUser('read-only', quick);
      await asSuperuser(`ALTER ROLE ${escapeIdentifier(username)} SET default_transaction_read_only = on`);
      await fails('RotationRolledBack PermissionDenied', bed.rotate('read-only'));
    },
    'is refused a new version, by answers that quote it': async () => {
      const causes = {
        knownError: 'SecretUnusable',
        unknownError: 'SecretUnusable',
        page: 'TargetUnavailable',
      } as const;
      const refuse = async ([answer, cause]: [string, string]) => {
        const secret = `put-${answer.toLowerCase()}`;
        await singleUser(secret, quick);
        aws.answer('PutSecretValue', secrets.idOf(secret), QUOTING[answer as keyof typeof causes]);
        await fails(`RotationRolledBack ${cause}`, bed.rotate(secret));
      };
      await Promise.all(Object.entries(causes).map(refuse));
    },
    'is given half a secret': async () => {
      await singleUser('half', quick);
      aws.answer('GetSecretValue', secrets.idOf('half'), QUOTING.cutOff);
      await fails('RotationRefused TargetUnavailable', bed.rotate('half'));
    },
    'is aborted after the password was changed': async () => {
      await singleUser('aborted');
      const point = { step: 'setPassword', when: 'after' } as const;
      const handle = await whileAt('aborted', point, async () => {
        const rotation = bed.client.workflow.getHandle(`rotation/${secrets.idOf('aborted')}`);
        await rotation.signal('abort', { reason: 'wrong secret', requestedBy: 'night shift' });
      });
      const { outcome } = (await handle.result()) as RotationResult;
      if (outcome !== 'aborted') throw new Error(`it ended ${outcome}`);
    },
    'finds what a terminated one left': async () => {
      await singleUser('terminated');
      const handle = await whileAt('terminated', { step: 'setPassword', when: 'after' }, async () => {
        await bed.client.workflow.getHandle(`rotation/${secrets.idOf('terminated')}`).terminate('planned');
      });
      await handle.result().catch(() => undefined);
      await rotates('terminated');
    },
    'finds a candidate refused, and no way back': async () => {
      const { username } = await singleUser('no-way-in');
      const handle = await whileAt('no-way-in', { step: 'loginWithCandidate', when: 'before' }, () =>
        setPassword(username, canary()),
      );
      await fails('RollbackIncomplete CandidateRefused', handle.result());
    },
    'finds the old password accepted': async () => {
      const { username } = await singleUser('still-open');
      const { password } = JSON.parse(await secrets.value('still-open')) as { password: string };
      const handle = await whileAt('still-open', { step: 'proveOldPasswordRefused', when: 'before' }, () =>
        setPassword(username, password),
      );
      await fails('RotationRolledBack OldCredentialAccepted', handle.result());
    },
    'finds a dependent unhealthy that shows its value to everybody': async () => {
      const [known, unknown] = await Promise.all(
        ['talkative', 'talkative-new'].map((secret) => startTalkativeDependent(() => secrets.value(secret))),
      );
      await singleUser('talkative', { ...quick, dependents: [known?.declaration] });
      await fails('RollbackIncomplete DependentUnhealthy', bed.rotate('talkative'));
      await bed.declare({ 'talkative-new': { type: 'app-secret', dependents: [unknown?.declaration] } });
      await fails('RotationRolledBack DependentUnhealthy', bed.rotate('talkative-new'));
      await Promise.all([known?.stop(), unknown?.stop()]);
    },
    'is asked for at the front door': async () => {
      await appSecret('front', canary());
      const { environment, client, taskQueue } = bed;
      await client.workflow.execute('rotate', {
        taskQueue,
        workflowId: `front-door-${environment}`,
        args: [{ environment, secret: 'front', requestedBy: 'tester' }],
      });
    },
  };
}
