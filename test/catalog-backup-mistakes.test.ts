import { shown } from './testbed/catalog-mistakes';
import type { Mistake } from './testbed/catalog-mistakes';

const here = ' environments.dev.backup';

function dev(backup: string): string {
  return `environments:\n  dev:\n    ${backup}\n    secrets: {}\n`;
}

const withBackup = (keys: string) => dev(`backup: {${keys}}`);

describe('a mistake in a backup is shown where it is:', () => {
  const mistakes: Mistake[] = [
    [
      'no bucket',
      dev('▸backup: {kmsKey: alias/k}'),
      `${here}.bucket: is missing: the S3 bucket that holds the backups; it must have versioning turned on`,
    ],
    [
      'no key',
      dev('▸backup: {bucket: bck}'),
      `${here}.kmsKey: is missing: the alias of the KMS key that encrypts the backups, such as alias/keyturn-backups`,
    ],
    [
      'an address in place of a bucket',
      withBackup('bucket: ▸"s3://bucket/path", kmsKey: alias/k'),
      `${here}.bucket: is not the name of an S3 bucket: 3 to 63 lower-case letters, digits, dots and hyphens, without s3:// and a path`,
    ],
    [
      'a key by its ID',
      withBackup('bucket: bck, kmsKey: ▸1234abcd-12ab-34cd-56ef-1234567890ab'),
      `${here}.kmsKey: is not the alias of a KMS key of yours: write alias/ and its name, such as alias/keyturn-backups`,
    ],
    [
      "AWS's own key",
      withBackup('bucket: bck, kmsKey: ▸alias/aws/s3'),
      `${here}.kmsKey: is not the alias of a KMS key of yours: write alias/ and its name, such as alias/keyturn-backups`,
    ],
    [
      'a word for yes',
      withBackup('bucket: bck, kmsKey: alias/k, beforeRotation: ▸"on"'),
      `${here}.beforeRotation: must be true or false, not text`,
    ],
    [
      'a number without its unit',
      withBackup('bucket: bck, kmsKey: alias/k, keep: ▸90'),
      `${here}.keep: must be a duration with its unit, such as "90 days", "2 hours" or "7d", not the number 90`,
    ],
    [
      'nothing kept',
      withBackup('bucket: bck, kmsKey: alias/k, keep: ▸0 days'),
      `${here}.keep: "0 days" is too short: at least one second`,
    ],
    [
      'an unknown key',
      withBackup('bucket: bck, kmsKey: alias/k, ▸beforeRotations: true'),
      `${here}.beforeRotations: is no key of the backup; did you mean beforeRotation?`,
    ],
  ];
  mistakes.forEach(shown);
});
