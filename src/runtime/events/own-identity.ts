import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { AWS_CLIENT_OPTIONS } from '../aws-client-options';

/** Who the worker is to AWS. It is asked once. @throws the SDK's errors; the next call asks again. */
export function createOwnIdentity(): { arn(): Promise<string>; close(): void } {
  const sts = new STSClient(AWS_CLIENT_OPTIONS);
  let known: string | undefined;
  return {
    async arn() {
      known ??= (await sts.send(new GetCallerIdentityCommand({}))).Arn;
      if (known === undefined) throw new Error('STS did not say who the worker is');
      return known;
    },
    close: () => sts.destroy(),
  };
}

/** Whether two ARNs are of the same user or role; each worker has a session of its own of the role that all share. */
export function isSameCaller(one: string, other: string): boolean {
  return withoutSession(one) === withoutSession(other);
}

function withoutSession(arn: string): string {
  return arn.replace(/(:assumed-role\/[^/]+)\/.*$/, '$1');
}
