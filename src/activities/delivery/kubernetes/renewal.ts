import type { Connection } from './connecting';

/** The status of an answer that refuses the credentials. */
export const UNAUTHENTICATED = 401;

/**
 * A connection whose credentials are read anew when the API server refuses them, because they may have been renewed since: the request is
 * then repeated once.
 *
 * @param connect reads them.
 */
export async function connectWithRenewal(connect: () => Promise<Connection>): Promise<Connection> {
  let current = await connect();
  let renewing: Promise<Connection> | undefined;
  const renew = async () => {
    current = await connect().finally(() => (renewing = undefined));
    return current;
  };
  return {
    cluster: current.cluster,
    async send(request) {
      const used = current;
      const response = await used.send(request);
      if (response.statusCode !== UNAUTHENTICATED) return response;
      response.resume();
      // Others may have been refused at the same time, or before.
      const renewed = current === used ? await (renewing ??= renew()) : current;
      return renewed.send(request);
    },
  };
}
