import { randomUUID } from 'node:crypto';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { scramVerifier } from '../../src/activities/postgres/scram';
import { newPassword } from './direct-calls';
import type { DirectCalls } from './direct-calls';

/**
 * The calls of one single-user rotation and nothing else: no workflow, no audit record, no retry, no protection. What a program
 * that is never killed and never fails would need at least for the same calls.
 */
export async function rotateDirectly(calls: DirectCalls): Promise<void> {
  const candidate = randomUUID();
  // inspectSecret
  const current = { VersionId: (await calls.describe())('AWSCURRENT') };
  // confirmCurrentLogin
  await calls.probe(await calls.read(current), 'opened');
  // createCandidate
  await calls.find({ VersionId: candidate });
  await calls.put(candidate, { ...(await calls.read(current)), password: newPassword() });
  // setPassword
  const login = await calls.read({ VersionId: candidate });
  await calls.probe(login, 'refused');
  await calls.session(await calls.read(current), async (connection) => {
    const limits = 'SET statement_timeout = 5000; SET lock_timeout = 4000';
    await calls.query(connection, 'limit how long its statements may take', limits);
    await calls.query(connection, 'act as itself', 'SET ROLE NONE');
    const verifier = await scramVerifier(login.password, candidate, login.username);
    const statement = `ALTER ROLE ${escapeIdentifier(login.username)} PASSWORD ${escapeLiteral(verifier)}`;
    await calls.query(connection, 'alter the password of the role', statement);
  });
  // loginWithCandidate
  await calls.probe(await calls.read({ VersionId: candidate }), 'opened');
  // promote
  await calls.moveLabel('AWSCURRENT', current.VersionId, candidate);
  await calls.moveLabel('AWSPENDING', candidate);
  // verifyAsApplication
  await calls.probe(await calls.read({ VersionStage: 'AWSCURRENT' }), 'opened');
  // proveOldPasswordRefused
  await calls.probe(await calls.read(current), 'refused');
}
