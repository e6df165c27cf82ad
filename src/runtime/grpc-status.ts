/** The gRPC status codes that Keyturn acts on (gRPC documentation, 'Status codes and their use in gRPC'). */
export const GrpcStatus = {
  NotFound: 5,
  PermissionDenied: 7,
  Unimplemented: 12,
  Unauthenticated: 16,
} as const;

/** The gRPC status code of an error of the client's or the worker's connection; `undefined` for other errors. */
export function grpcStatusOf(error: unknown): number | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'number' ? code : undefined;
}

/** The server's own words, without the code in front of them. */
export function grpcMessageOf(error: unknown): string {
  const details = error instanceof Error && 'details' in error ? error.details : undefined;
  if (typeof details === 'string' && details) return details;
  return error instanceof Error ? error.message : String(error);
}
