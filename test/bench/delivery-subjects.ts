import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { CreateSecretCommand } from '@aws-sdk/client-secrets-manager';
import { stringify } from 'yaml';
import { secretIdOf } from '../../src/rotation/names';
import type { Lab } from '../lab/lab';
import type { Props } from './stage';
import { ENVIRONMENT } from './subjects';

/** A secret, and what uses it in the namespace that is called as the environment: all contenders work on the same. */
export interface DeliverySubject {
  /** Below the environment; also the name of the ExternalSecret and of the Secret. */
  secret: string;
  /** Names of Deployments. */
  workloads: string[];
  /** How often each contender takes its turn, and in how many of these rounds the script does. */
  rounds: number;
  roundsOfScript: number;
}

const usedBy = (count: number, rounds: number, roundsOfScript: number): DeliverySubject => ({
  secret: `used-by-${count}`,
  workloads: Array.from({ length: count }, (_, n) => `used-by-${count}-${n}`),
  rounds,
  roundsOfScript,
});

export const WARM_UP = usedBy(1, 1, 0);
export const DELIVERY_SUBJECTS = [usedBy(1, 7, 3), usedBy(20, 3, 1)];

export const PODS_EACH = 2;
/** The key of the Secret that holds the whole value. */
export const KEY = 'value';
const STORE = 'aws';

/** Makes the secrets, the catalog, and in the cluster the store, the ExternalSecrets and the Deployments. */
export const createDeliverySubjects: Props['create'] = async (lab, secretsManager, catalog) => {
  for (const { secret } of DELIVERY_SUBJECTS) {
    const Name = secretIdOf(ENVIRONMENT, secret);
    await secretsManager.send(new CreateSecretCommand({ Name, SecretString: randomBytes(24).toString('base64url') }));
  }
  const secrets = Object.fromEntries(DELIVERY_SUBJECTS.map((subject) => [subject.secret, declaration(subject)]));
  await writeFile(catalog, stringify({ environments: { [ENVIRONMENT]: { secrets } } }));
  const objects = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: ENVIRONMENT } },
    storeFor(lab),
    ...DELIVERY_SUBJECTS.flatMap((subject) => [externalSecret(subject), ...subject.workloads.map(deployment)]),
  ];
  await lab.cluster?.kubernetes.apply(objects.map((object) => stringify(object)).join('\n---\n'));
};

function declaration({ secret, workloads }: DeliverySubject): object {
  const kubernetes = {
    externalSecret: secret,
    keys: [{ key: KEY }],
    workloads: workloads.map((name) => ({ deployment: name })),
  };
  return { type: 'app-secret', dependents: [{ kubernetes }] };
}

function storeFor({ aws }: Lab): object {
  return {
    apiVersion: 'external-secrets.io/v1',
    kind: 'SecretStore',
    metadata: { name: STORE, namespace: ENVIRONMENT },
    spec: { provider: { aws: { service: 'SecretsManager', region: aws.region } } },
  };
}

function externalSecret({ secret: name }: DeliverySubject): object {
  return {
    apiVersion: 'external-secrets.io/v1',
    kind: 'ExternalSecret',
    metadata: { name, namespace: ENVIRONMENT },
    spec: {
      refreshInterval: '1h',
      secretStoreRef: { kind: 'SecretStore', name: STORE },
      target: { name },
      data: [{ secretKey: KEY, remoteRef: { key: secretIdOf(ENVIRONMENT, name) } }],
    },
  };
}

/** Its pods are ready as soon as they have a node: no time of the pods' own hides what a contender takes. */
function deployment(name: string): object {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: ENVIRONMENT },
    spec: {
      replicas: PODS_EACH,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'app', image: 'registry.example.com/app:1' }] },
      },
    },
  };
}
