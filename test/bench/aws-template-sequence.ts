import { randomUUID } from 'node:crypto';
import type { DirectCalls } from './direct-calls';

/**
 * The calls that AWS's template for secrets of any kind makes: those of SecretsManagerRotationTemplate in
 * https://github.com/aws-samples/aws-secrets-manager-rotation-lambdas, in its order, in this process. Its setSecret and testSecret are
 * left to the user, and make only the call that precedes every step.
 */
export async function makeTheCallsOfTheAwsTemplate(calls: DirectCalls): Promise<void> {
  const token = randomUUID();

  // createSecret
  await calls.describe();
  const before = await calls.read({ VersionStage: 'AWSCURRENT' });
  await calls.find({ VersionId: token, VersionStage: 'AWSPENDING' });
  await calls.put(token, { ...before, password: await calls.randomPassword() });

  // setSecret
  await calls.describe();

  // testSecret
  await calls.describe();

  // finishSecret
  await calls.describe();
  const labels = await calls.describe();
  await calls.moveLabel('AWSCURRENT', labels('AWSCURRENT'), token);
}
