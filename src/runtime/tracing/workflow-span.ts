import type { Sinks } from '@temporalio/workflow';

/** Temporal's header for a trace's context, the same in all of its SDKs. */
export const TRACE_HEADER = '_tracer-data';

/** A span as it leaves the workflow sandbox; plain JSON. */
export interface WorkflowSpan {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  /** The run that this one continues; it is another trace. */
  continues?: { traceId: string; spanId: string };
  /** Milliseconds since the epoch, by the workflow's clock. */
  startedAt: number;
  endedAt: number;
  workflowId: string;
  runId: string;
  failure?: { type: string; message: string };
}

/** How spans leave the sandbox. */
export interface TracingSinks extends Sinks {
  keyturnTracing: { export(span: WorkflowSpan): void };
}
