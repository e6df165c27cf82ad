import type { WorkflowStartOptions } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import { SEARCH_ATTRIBUTES, secretIdOf } from '../rotation/names';
import type { SecretType } from '../rotation/names';
import { PRIORITY } from '../rotation/priority';
import type { RotationInput } from '../rotation/types';

const keyword = (name: string) => defineSearchAttributeKey(name, SearchAttributeType.KEYWORD);

export const PHASE = keyword(SEARCH_ATTRIBUTES.phase);

/**
 * What every workflow about one secret is started with.
 *
 * @param verb what it does to the secret, for the web UI: `Rotate`.
 */
export function startOptions(taskQueue: string, input: RotationInput, type: SecretType, verb: string) {
  const { environment, secret, requestedBy, reason, emergency } = input;
  return {
    taskQueue,
    args: [input],
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    staticSummary: `${verb} ${secretIdOf(environment, secret)}`,
    ...(emergency && { priority: PRIORITY.emergency }),
    ...(requestedBy && { staticDetails: `Started by ${requestedBy}${reason ? ` (${reason})` : ''}` }),
    typedSearchAttributes: new TypedSearchAttributes([
      { key: keyword(SEARCH_ATTRIBUTES.environment), value: environment },
      { key: keyword(SEARCH_ATTRIBUTES.secret), value: secret },
      { key: keyword(SEARCH_ATTRIBUTES.type), value: type },
      { key: PHASE, value: 'planning' },
    ]),
  } satisfies Partial<WorkflowStartOptions>;
}
