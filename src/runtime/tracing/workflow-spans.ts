import type { HrTime } from '@opentelemetry/api';
import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import type { WorkflowSpan } from './workflow-span';

/** A span of the workflow sandbox as those of this process are. */
export function readableSpan(span: WorkflowSpan, resource: Resource): ReadableSpan {
  const { traceId, spanId, parentSpanId, continues, startedAt, endedAt, failure } = span;
  const traceFlags = TraceFlags.SAMPLED;
  return {
    name: span.name,
    kind: SpanKind.INTERNAL,
    spanContext: () => ({ traceId, spanId, traceFlags }),
    ...(parentSpanId !== undefined && { parentSpanId }),
    startTime: hrTime(startedAt),
    endTime: hrTime(endedAt),
    duration: hrTime(endedAt - startedAt),
    ended: true,
    status: failure ? { code: SpanStatusCode.ERROR, message: failure.message } : { code: SpanStatusCode.OK },
    attributes: {
      temporalWorkflowId: span.workflowId,
      run_id: span.runId,
      ...(failure && { 'error.type': failure.type }),
    },
    links: continues ? [{ context: { ...continues, traceFlags } }] : [],
    events: failure
      ? [
          {
            name: 'exception',
            time: hrTime(endedAt),
            attributes: { 'exception.type': failure.type, 'exception.message': failure.message },
          },
        ]
      : [],
    resource,
    instrumentationLibrary: { name: 'keyturn' },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

function hrTime(milliseconds: number): HrTime {
  return [Math.floor(milliseconds / 1_000), (milliseconds % 1_000) * 1_000_000];
}
