import { secretIdOf } from '../../src/rotation/names';
import { makeTheCallsOfTheAwsSample } from './aws-sample-sequence';
import { createDirectCalls } from './direct-calls';
import { rotateDirectly } from './floor';
import type { Stage } from './stage';
import { ENVIRONMENT, singleUser } from './subjects';
import type { Contender } from './subjects';

export const CONTENDERS = ['rotation', 'floor', 'sample'] as const satisfies readonly Contender[];

export const NAMES: Record<Contender, string> = {
  rotation: 'a rotation by Keyturn',
  floor: 'the floor: the same calls, made directly',
  sample: "the calls that AWS's sample makes, made directly",
};

/** One rotation of the n-th secret of a contender. @returns the calls that were made directly. */
export async function rotateOnce(stage: Stage, contender: Contender, n: number): Promise<string[]> {
  const secret = singleUser(contender, n);
  const calls = createDirectCalls(stage.secretsManager, secretIdOf(ENVIRONMENT, secret));
  switch (contender) {
    case 'rotation':
      await stage.rotate(secret);
      break;
    case 'floor':
      await rotateDirectly(calls);
      break;
    case 'sample':
      await makeTheCallsOfTheAwsSample(calls);
      break;
  }
  return calls.made;
}
