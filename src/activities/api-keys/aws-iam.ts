import {
  CreateAccessKeyCommand,
  DeleteAccessKeyCommand,
  GetAccessKeyLastUsedCommand,
  ListAccessKeysCommand,
  UpdateAccessKeyCommand,
} from '@aws-sdk/client-iam';
import type { IAMClient } from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { Cause } from '../../rotation/errors';
import type { AwsIamProviderPlan } from '../../rotation/plan';
import { outsideCall, protect } from '../boundary/activity-scope';
import { errorNameOf, httpStatusOf } from '../aws-errors';
import { failure } from '../failures';
import type { ApiKeyFacts, ApiKeyProvider } from './provider';

/** An IAM user may have two access keys (AWS: 'IAM and AWS STS quotas'). */
const MOST_KEYS = 2;

/** IAM is eventually consistent: a new key may be refused, and a deleted one accepted, for some seconds (AWS: 'Troubleshoot IAM'). */
const SETTLE_MS = 60_000;

const THROTTLED = new Set(['Throttling', 'ThrottlingException', 'RequestLimitExceeded', 'TooManyRequestsException']);
const GONE = new Set(['NoSuchEntity', 'NoSuchEntityException']);
/** STS refuses a key that is unknown, inactive or deleted, or whose signature is wrong. */
const KEY_REFUSED = new Set(['InvalidClientTokenId', 'SignatureDoesNotMatch', 'UnrecognizedClientException']);

/**
 * Access keys of an IAM user.
 *
 * @param iam must not retry by itself: CreateAccessKey has no token, so that a repeated one makes a second key.
 * @param stsOptions how keys are tried, without credentials.
 * @param about the secret, for messages.
 */
export function createAwsIamProvider(
  { userName }: AwsIamProviderPlan,
  iam: Pick<IAMClient, 'send'>,
  stsOptions: object,
  about: string,
): ApiKeyProvider {
  const UserName = userName;

  async function call<T>(operation: string, send: () => Promise<T>): Promise<T> {
    return outsideCall('iam', operation, async () => {
      try {
        return await send();
      } catch (error) {
        throw toFailure(error, operation);
      }
    });
  }

  function toFailure(error: unknown, operation: string) {
    const name = errorNameOf(error);
    const status = httpStatusOf(error);
    const where = `${operation} of the user ${userName} (for ${about})`;
    if (GONE.has(name)) return failure(Cause.SecretUnusable, `IAM has no such user or key: ${where}.`);
    if (THROTTLED.has(name) || status === 429)
      return failure(Cause.Throttled, `IAM throttles ${where}; it is tried again.`);
    if (name === 'AccessDenied' || name === 'AccessDeniedException') {
      return failure(
        Cause.PermissionDenied,
        `The worker may not call iam:${where}. Grant it to the worker's IAM role.`,
      );
    }
    if (name === 'LimitExceeded' || name === 'LimitExceededException') {
      return failure(Cause.TooManyKeys, `IAM refuses ${where}: the user has as many access keys as it may.`);
    }
    if (status !== undefined && status >= 400 && status < 500) {
      return failure(Cause.SecretUnusable, `IAM refuses ${where} with ${name}.`);
    }
    return failure(Cause.TargetUnavailable, `IAM did not answer ${where} (${name}).`);
  }

  /** What is gone needs no changing. */
  async function unlessGone(operation: string, send: () => Promise<unknown>): Promise<void> {
    await call(operation, () =>
      send().catch((error: unknown) => {
        if (!GONE.has(errorNameOf(error))) throw error;
      }),
    );
  }

  const setStatus = (id: string, Status: 'Active' | 'Inactive') =>
    call('UpdateAccessKey', () => iam.send(new UpdateAccessKeyCommand({ UserName, AccessKeyId: id, Status })));

  async function lastUsed(id: string): Promise<string | undefined> {
    const answer = await call('GetAccessKeyLastUsed', () =>
      iam.send(new GetAccessKeyLastUsedCommand({ AccessKeyId: id })),
    );
    return answer.AccessKeyLastUsed?.LastUsedDate?.toISOString();
  }

  async function list(): Promise<ApiKeyFacts[]> {
    const { AccessKeyMetadata = [] } = await call('ListAccessKeys', () =>
      iam.send(new ListAccessKeysCommand({ UserName })),
    );
    return Promise.all(
      AccessKeyMetadata.map(async ({ AccessKeyId: id = '', Status, CreateDate }) => ({
        id,
        active: Status === 'Active',
        createdAt: CreateDate?.toISOString(),
        lastUsedAt: await lastUsed(id),
      })),
    );
  }

  return {
    settleMs: SETTLE_MS,
    mostKeys: MOST_KEYS,
    list,
    lastUsed,

    async create() {
      const { AccessKey } = await call('CreateAccessKey', () => iam.send(new CreateAccessKeyCommand({ UserName })));
      return { id: AccessKey?.AccessKeyId ?? '', value: protect(AccessKey?.SecretAccessKey ?? '') };
    },

    async verify({ id = '', value }) {
      const sts = new STSClient({ ...stsOptions, credentials: { accessKeyId: id, secretAccessKey: value } });
      try {
        return await outsideCall(
          'sts',
          'GetCallerIdentity',
          async () => {
            try {
              await sts.send(new GetCallerIdentityCommand({}));
              return 'accepted' as const;
            } catch (error) {
              if (KEY_REFUSED.has(errorNameOf(error))) return 'refused' as const;
              throw failure(
                Cause.TargetUnavailable,
                `STS did not say whether the access key ${id} of ${userName} (for ${about}) works (${errorNameOf(error)}).`,
              );
            }
          },
          (answer) => answer,
        );
      } finally {
        sts.destroy();
      }
    },

    async deactivate(id) {
      await unlessGone('UpdateAccessKey', () =>
        iam.send(new UpdateAccessKeyCommand({ UserName, AccessKeyId: id, Status: 'Inactive' })),
      );
    },

    async reactivate(id) {
      await setStatus(id, 'Active');
    },

    async delete(id) {
      await unlessGone('DeleteAccessKey', () => iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId: id })));
    },
  };
}
