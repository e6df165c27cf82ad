import type { Attributes } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { redact } from '../log-redaction';

/** Whatever a library hangs onto a span, nothing but this is sent of it. */
const ATTRIBUTES = new Set([
  'temporalWorkflowId',
  'run_id',
  'temporalActivityId',
  'temporalUpdateId',
  'keyturn.secret',
  'keyturn.step',
  'keyturn.attempt',
  'keyturn.system',
  'keyturn.operation',
  'keyturn.outcome',
  'rpc.system',
  'rpc.service',
  'rpc.method',
  'error.type',
]);

const EXCEPTION = new Set(['exception.type', 'exception.message']);

/**
 * A span with what may leave the process and no more: known attributes, of an exception its type and message, never a stack, no other
 * event. Texts pass the log's redaction once more.
 *
 * @param messages whether messages of failures may leave.
 */
export function fitToLeave(span: ReadableSpan, messages: boolean): ReadableSpan {
  const { code, message } = span.status;
  return Object.create(span, {
    attributes: { value: known(span.attributes, ATTRIBUTES) },
    status: { value: { code, ...(messages && message !== undefined && { message: redacted(message) }) } },
    events: {
      value: span.events
        .filter(({ name }) => name === 'exception')
        .map((event) => ({ ...event, attributes: exception(event.attributes, messages) })),
    },
    links: { value: span.links.map(({ context }) => ({ context })) },
  }) as ReadableSpan;
}

function exception(attributes: Attributes | undefined, messages: boolean): Attributes {
  const { 'exception.message': message, ...type } = known(attributes ?? {}, EXCEPTION);
  return messages && message !== undefined ? { ...type, 'exception.message': message } : type;
}

function known(attributes: Attributes, names: ReadonlySet<string>): Attributes {
  return Object.fromEntries(
    Object.entries(attributes)
      .filter(([name]) => names.has(name))
      .map(([name, value]) => [name, typeof value === 'string' ? redacted(value) : value]),
  );
}

function redacted(text: string): string {
  return redact(text) as string;
}
