import { parseSecretId } from '../../rotation/names';
import { VERSION_ID } from '../../rotation/types';
import { StepRefused } from './errors';

/** The steps of Secrets Manager, in the order in which it calls them (AWS Secrets Manager user guide, 'Lambda rotation functions'). */
export const NATIVE_STEPS = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;
export type NativeStep = (typeof NATIVE_STEPS)[number];

/** What Secrets Manager asks of a rotation function, in Keyturn's words. */
export interface StepRequest {
  step: NativeStep;
  environment: string;
  /** The secret's name below the environment. */
  secret: string;
  /** The ClientRequestToken, which becomes the VersionId. */
  versionId: string;
}

/** Secrets Manager appends a hyphen and six characters to the name (AWS API reference, 'CreateSecret'). */
const SECRET_ARN = /^arn:[\w-]+:secretsmanager:[\w-]+:\d{12}:secret:(.+)-[A-Za-z0-9]{6}$/;

/**
 * Reads the event of a rotation function. `RotationToken` is not looked at: the function itself never calls Secrets Manager.
 *
 * @throws StepRefused naming the first field that is wrong; it never repeats a field's content, because anything may be in there.
 */
export function readStepRequest(event: unknown): StepRequest {
  const { Step, SecretId, ClientRequestToken } = (typeof event === 'object' && event !== null ? event : {}) as Record<
    string,
    unknown
  >;
  const step = NATIVE_STEPS.find((known) => known === Step);
  if (!step) throw new StepRefused(`The event's Step is none of ${NATIVE_STEPS.join(', ')}.`);
  const name = typeof SecretId === 'string' ? SECRET_ARN.exec(SecretId)?.[1] : undefined;
  const parsed = name === undefined ? undefined : parseSecretId(name);
  if (!parsed) {
    throw new StepRefused(`The event's SecretId is not the ARN of a secret whose name is {environment}/{name}.`);
  }
  if (typeof ClientRequestToken !== 'string' || !VERSION_ID.test(ClientRequestToken)) {
    throw new StepRefused(
      `The event's ClientRequestToken is not 32 to 64 letters, digits, dots, hyphens or underscores; leave --client-request-token out, and the AWS CLI draws one.`,
    );
  }
  return { step, ...parsed, versionId: ClientRequestToken };
}
