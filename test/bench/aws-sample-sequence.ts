import { randomUUID } from 'node:crypto';
import { escapeIdentifier, escapeLiteral } from 'pg';
import type { DirectCalls } from './direct-calls';

/**
 * The calls that AWS's sample makes: those of SecretsManagerRDSPostgreSQLRotationSingleUser in
 * https://github.com/aws-samples/aws-secrets-manager-rotation-lambdas, in its order, in this process. Its own code does more around
 * them: a new client for each of its four steps, and in AWS an invocation of the function for each.
 */
export async function makeTheCallsOfTheAwsSample(calls: DirectCalls): Promise<void> {
  const token = randomUUID();
  const pending = { VersionId: token, VersionStage: 'AWSPENDING' };

  // createSecret
  await calls.describe();
  const before = await calls.read({ VersionStage: 'AWSCURRENT' });
  await calls.find(pending);
  await calls.put(token, { ...before, password: await calls.randomPassword() });

  // setSecret
  await calls.describe();
  await calls.find({ VersionStage: 'AWSPREVIOUS' });
  const current = await calls.read({ VersionStage: 'AWSCURRENT' });
  const candidate = await calls.read(pending);
  await calls.probe(candidate, 'refused');
  await calls.session(current, async (connection) => {
    await calls.query(connection, 'begin', 'BEGIN');
    await calls.query(connection, 'quote the name', 'SELECT quote_ident($1)', [candidate.username]);
    const statement = `ALTER USER ${escapeIdentifier(candidate.username)} WITH PASSWORD ${escapeLiteral(candidate.password)}`;
    await calls.query(connection, 'alter the password', statement);
    await calls.query(connection, 'commit', 'COMMIT');
  });

  // testSecret
  await calls.describe();
  await calls.session(await calls.read(pending), async (connection) => {
    await calls.query(connection, 'begin', 'BEGIN');
    await calls.query(connection, 'ask for the time', 'SELECT NOW()');
    await calls.query(connection, 'commit', 'COMMIT');
  });

  // finishSecret
  await calls.describe();
  const labels = await calls.describe();
  await calls.moveLabel('AWSCURRENT', labels('AWSCURRENT'), token);
}
