import type { Connection } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../rotation/names';
import { GrpcStatus, grpcStatusOf } from './grpc-status';
import type { TemporalSettings } from './temporal-settings';

/** A search attribute that Keyturn needs and the namespace does not have, or has with another type. */
interface MissingSearchAttribute {
  name: string;
  /** Set when an attribute of this name exists that is not a Keyword. */
  existsAs?: string;
}

/** The temporal.api.enums.v1.IndexedValueType of a Keyword. */
const KEYWORD = 2;
const TYPE_NAMES = ['unspecified', 'Text', 'Keyword', 'Int', 'Double', 'Bool', 'Datetime', 'KeywordList'];

/**
 * Compares the namespace's search attributes with {@link SEARCH_ATTRIBUTES}, all of type Keyword.
 *
 * @returns what is missing; `undefined` when the server does not let us look (Temporal Cloud lists them elsewhere).
 */
export async function missingSearchAttributes(
  connection: Pick<Connection, 'operatorService'>,
  namespace: string,
): Promise<MissingSearchAttribute[] | undefined> {
  let known: Record<string, number>;
  try {
    known = (await connection.operatorService.listSearchAttributes({ namespace })).customAttributes ?? {};
  } catch (error) {
    const status = grpcStatusOf(error);
    const closed: (number | undefined)[] = [
      GrpcStatus.Unimplemented,
      GrpcStatus.PermissionDenied,
      GrpcStatus.Unauthenticated,
    ];
    if (closed.includes(status)) return undefined;
    throw error;
  }
  return Object.values(SEARCH_ATTRIBUTES)
    .filter((name) => known[name] !== KEYWORD)
    .map((name) => {
      const type = known[name];
      return type === undefined ? { name } : { name, existsAs: TYPE_NAMES[type] ?? `type ${type}` };
    });
}

/** What is missing and the commands that add it, for the operator. */
export function explainMissingSearchAttributes(
  missing: readonly MissingSearchAttribute[],
  { address, namespace }: TemporalSettings,
): string {
  const mistyped = missing.filter(({ existsAs }) => existsAs !== undefined);
  const lines = [
    `The namespace '${namespace}' of Temporal at ${address} lacks search attributes that every rotation sets.`,
  ];
  for (const { name, existsAs } of mistyped) {
    lines.push(
      `${name} exists as ${existsAs}, but must be Keyword. If nothing else uses it, remove it first:`,
      `  temporal operator search-attribute remove --namespace ${namespace} --name ${name}`,
    );
  }
  lines.push(
    'Create what is missing, then start the worker again:',
    `  ${createSearchAttributesCommand(namespace, missing)}`,
  );
  return lines.join('\n');
}

/** The command of Temporal's CLI that creates search attributes; all of Keyturn's unless told otherwise. */
export function createSearchAttributesCommand(
  namespace: string,
  attributes: readonly { name: string }[] = Object.values(SEARCH_ATTRIBUTES).map((name) => ({ name })),
): string {
  const names = attributes.map(({ name }) => `--name ${name} --type Keyword`).join(' ');
  return `temporal operator search-attribute create --namespace ${namespace} ${names}`;
}
