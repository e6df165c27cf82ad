import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { ApiAccess } from './api';

/** The name of the context of every kubeconfig. */
const CONTEXT = 'lab';

/** Who may work with the cluster from its start; everybody else needs a ServiceAccount. */
const USERS = {
  admin: 'system:masters',
  kwok: 'system:masters',
  'system:kube-controller-manager': '',
  'system:kube-scheduler': '',
} as const;
export type User = keyof typeof USERS;

/** What the API server is told about who may log in to it, as files that it reads, and the users' tokens. */
export interface AccessFiles {
  tokenFile: string;
  /** The key pair that signs the tokens of ServiceAccounts. */
  signingKeyFile: string;
  verifyingKeyFile: string;
  tokens: Record<User, string>;
}

/** Makes random tokens and a key pair, in files that only their owner can read. */
export async function makeAccessFiles(folder: string): Promise<AccessFiles> {
  const names = Object.keys(USERS) as User[];
  const tokens = Object.fromEntries(names.map((user) => [user, randomBytes(24).toString('hex')])) as Record<
    User,
    string
  >;
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const write = async (name: string, text: string): Promise<string> => {
    const file = join(folder, name);
    await writeFile(file, text, { mode: 0o600 });
    return file;
  };
  const lines = names.map((user) => `${tokens[user]},${user},${user},"${USERS[user]}"\n`);
  return {
    tokens,
    tokenFile: await write('tokens.csv', lines.join('')),
    signingKeyFile: await write('service-accounts.key', privateKey),
    verifyingKeyFile: await write('service-accounts.pub', publicKey),
  };
}

/** Writes a kubeconfig that stands by itself, readable by its owner only. */
export async function writeKubeconfig(
  file: string,
  { server, ca, token }: ApiAccess,
  namespace = 'default',
): Promise<string> {
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': CONTEXT,
    clusters: [
      { name: CONTEXT, cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name: CONTEXT, user: { token } }],
    contexts: [{ name: CONTEXT, context: { cluster: CONTEXT, user: CONTEXT, namespace } }],
  };
  await writeFile(file, stringify(kubeconfig), { mode: 0o600 });
  return file;
}

interface Kubeconfig {
  clusters: [{ cluster: { server: string; 'certificate-authority-data': string } }];
  users: [{ user: { token: string } }];
}

/** Reads what {@link writeKubeconfig} has written. */
export async function readKubeconfig(file: string): Promise<ApiAccess> {
  const { clusters, users } = parse(await readFile(file, 'utf8')) as Kubeconfig;
  const { server, 'certificate-authority-data': authority } = clusters[0].cluster;
  return { server, ca: Buffer.from(authority, 'base64').toString('utf8'), token: users[0].user.token };
}
