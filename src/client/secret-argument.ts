import { parseSecretId } from '../rotation/names';
import { UsageError } from './errors';

export interface SecretArgument {
  environment: string;
  secret: string;
  /** `{environment}/{name}`. */
  secretId: string;
}

/** Reads `<environment>/<name>` as it is typed. @throws UsageError */
export function parseSecretArgument(text: string): SecretArgument {
  const parts = parseSecretId(text);
  if (!parts) {
    throw new UsageError(
      `'${text}' does not name a secret. Expected <environment>/<name>, such as dev/database/app.\nSee what runs: keyturn status`,
    );
  }
  return { ...parts, secretId: text };
}
