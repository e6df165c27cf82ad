import { existsSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import type { RequestOptions } from 'node:https';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Cause } from '../../../rotation/errors';
import { protect } from '../../boundary/activity-scope';
import { failure } from '../../failures';
import { requestsTo } from './requests';

export interface HttpRequest {
  method: 'GET' | 'PATCH' | 'POST';
  /** With its query. */
  path: string;
  headers: Record<string, string>;
  body?: string;
  signal: AbortSignal;
}

/** A way to one API server. */
export interface Connection {
  /** How the cluster is called in messages. */
  cluster: string;
  /** Sends one request with the worker's credentials. Its answer's body is still to be read. */
  send(request: HttpRequest): Promise<IncomingMessage>;
}

const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/**
 * Finds a cluster as kubectl does: the kubeconfig of KUBECONFIG, else `~/.kube/config`, else the cluster that the worker runs in.
 *
 * @param context of the kubeconfig; its current one when absent.
 * @throws CatalogInvalid when there is no such context, TargetUnavailable when there is no cluster or the kubeconfig can't be read.
 */
export async function connect(context: string | undefined): Promise<Connection> {
  // An ES module, and a large one: loaded by workers that deliver to Kubernetes.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  const files = kubeconfigFiles();
  if (files.length === 0 && !existsSync(SERVICE_ACCOUNT_TOKEN)) {
    throw failure(
      Cause.TargetUnavailable,
      'The worker knows no Kubernetes cluster: KUBECONFIG is not set, there is no ~/.kube/config, and it does not run in a cluster. Set KUBECONFIG for the worker.',
    );
  }
  try {
    config.loadFromDefault();
  } catch (error) {
    // A parser's message quotes what it read, which may be a token.
    const code = (error as NodeJS.ErrnoException).code ?? 'it is not a kubeconfig';
    throw failure(Cause.TargetUnavailable, `The worker cannot read the kubeconfig ${files.join(', ')}: ${code}.`);
  }
  if (context !== undefined) {
    if (!config.getContextObject(context)) {
      const known = config.getContexts().map(({ name }) => name);
      throw failure(
        Cause.CatalogInvalid,
        `The worker's kubeconfig has no context ${context}; it has ${known.join(', ') || 'none'}. Nothing was changed there. Correct the catalog, or add the context.`,
      );
    }
    config.setCurrentContext(context);
  }
  const current = config.getCurrentCluster();
  if (!current) {
    throw failure(
      Cause.TargetUnavailable,
      `The context ${config.getCurrentContext()} of the worker's kubeconfig names no cluster that is in it.`,
    );
  }
  const request = requestsTo(current.server.replace(/\/$/, ''));
  return {
    cluster: files.length === 0 ? "the worker's own cluster" : `the cluster of context ${config.getCurrentContext()}`,
    send: async ({ method, path, headers, body, signal }) => {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      const { agent, ...others } = options;
      const authorization = options.headers && (options.headers as Record<string, unknown>)['Authorization'];
      if (typeof authorization === 'string') protect(authorization.replace(/^Bearer /, ''));
      return request(
        path,
        {
          ...others,
          // The library makes an agent for each request, which keeps no connection open; through a proxy there is no other.
          ...(current.proxyUrl !== undefined && { agent }),
          method,
          signal,
          headers: { ...(options.headers as Record<string, string>), ...headers },
        },
        body,
      );
    },
  };
}

function kubeconfigFiles(): string[] {
  const named = process.env['KUBECONFIG'];
  if (named) return [named];
  return [join(homedir(), '.kube', 'config')].filter(existsSync);
}
