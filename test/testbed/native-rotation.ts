import { DescribeSecretCommand, RotateSecretCommand } from '@aws-sdk/client-secrets-manager';
import { handler } from '../../src/client/native-rotation/handler';
import { NATIVE_STEPS } from '../../src/client/native-rotation/request';
import type { NativeStep } from '../../src/client/native-rotation/request';
import type { Testbed } from './testbed';

/** Secrets Manager's side of its own rotation. moto runs no function, so that the test calls the handler as AWS would. */
export interface NativeRotator {
  /** Leaves the secret as RotateSecret does before it calls createSecret: rotation on, and AWSPENDING on a version without a value. */
  expect(secret: string, token: string): Promise<void>;
  /** As RotateImmediately=false does before it calls testSecret alone: the expected version holds a copy of the current value. */
  expectTest(secret: string, token: string): Promise<void>;
  /** One call of the function. @throws what the function threw, after its text was noted for the scan. */
  call(step: NativeStep, secret: string, token: string, withinMs?: number): Promise<void>;
  /** All four in order. */
  callAll(secret: string, token: string): Promise<void>;
}

export function createNativeRotator(bed: Testbed): NativeRotator {
  async function rotate(secret: string, token: string, RotateImmediately: boolean): Promise<void> {
    const command = new RotateSecretCommand({
      SecretId: bed.secrets.idOf(secret),
      ClientRequestToken: token,
      RotationLambdaARN: 'arn:aws:lambda:us-east-1:123456789012:function:keyturn-native-rotation',
      RotationRules: { AutomaticallyAfterDays: 30 },
      RotateImmediately,
    });
    // moto stages the version, and then finds that it has no such function.
    await bed.secretsManager.send(command).catch((error: unknown) => {
      if (!(error instanceof Error) || error.name !== 'ResourceNotFoundException') throw error;
    });
  }

  async function call(step: NativeStep, secret: string, token: string, withinMs = 60_000): Promise<void> {
    const { ARN } = await bed.secretsManager.send(new DescribeSecretCommand({ SecretId: bed.secrets.idOf(secret) }));
    const until = Date.now() + withinMs;
    const event = { Step: step, SecretId: ARN, ClientRequestToken: token };
    try {
      const answer: unknown = await handler(event, { getRemainingTimeInMillis: () => until - Date.now() });
      if (answer !== undefined) throw new Error('the function answered something');
    } catch (error) {
      bed.alsoScan(`what ${step} threw`, error instanceof Error ? `${error.message}\n${error.stack}` : String(error));
      throw error;
    }
  }

  return {
    expect: (secret, token) => rotate(secret, token, true),
    expectTest: (secret, token) => rotate(secret, token, false),
    call,
    async callAll(secret, token) {
      for (const step of NATIVE_STEPS) await call(step, secret, token);
    },
  };
}
