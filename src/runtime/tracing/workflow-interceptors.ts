import type { Headers } from '@temporalio/common';
import { defaultPayloadConverter } from '@temporalio/common';
import type { WorkflowInterceptors } from '@temporalio/workflow';
import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  ContinueAsNew,
  proxySinks,
  workflowInfo,
} from '@temporalio/workflow';
import type { TracingSinks, WorkflowSpan } from './workflow-span';
import { TRACE_HEADER } from './workflow-span';

/** W3C Trace Context: version, trace ID, parent ID, flags. */
const TRACEPARENT = /^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})/;
const SAMPLED = 1;

interface TraceContext {
  traceId: string;
  spanId: string;
  sampled: boolean;
}

type OpenSpan = TraceContext & Pick<WorkflowSpan, 'name' | 'parentSpanId' | 'continues' | 'startedAt'>;

/**
 * What the workflow bundle of a tracing worker has on top. It must change nothing but headers, so that workers with and without tracing
 * can take up each other's rotations: no promise is put between a call and its answer, no random number is drawn (IDs follow from the run
 * ID), queries and the validators of updates are left alone. The interceptors of @temporalio/interceptors-opentelemetry do all three
 * (temporalio/sdk-typescript issues 1677 and 2023).
 */
export const interceptors = (): WorkflowInterceptors => {
  let run: OpenSpan | undefined;
  let begun = 0;

  function begin(name: string, parent: TraceContext | undefined): OpenSpan {
    const { runId } = workflowInfo();
    begun += 1;
    return {
      name,
      traceId: parent?.traceId ?? runId.replaceAll('-', ''),
      spanId: spanIdOf(`${runId}/${begun}`),
      sampled: parent?.sampled ?? true,
      ...(parent && { parentSpanId: parent.spanId }),
      startedAt: Date.now(),
    };
  }

  /** Lets a span end with a promise, which is handed on as it is. */
  function until<T>(span: OpenSpan, outcome: Promise<T>): Promise<T> {
    void outcome.then(
      () => end(span),
      (error: unknown) => end(span, error),
    );
    return outcome;
  }

  /** Calls on with a span's context in the headers; what is called is part of this run. */
  function call<I extends { headers: Headers }, T>(name: string, input: I, next: (input: I) => Promise<T>): Promise<T> {
    if (!run) return next(input);
    const span = begin(name, run);
    return until(span, next({ ...input, headers: headersWith(input.headers, span) }));
  }

  return {
    inbound: [
      {
        execute(input, next) {
          const { workflowType, continuedFromExecutionRunId } = workflowInfo();
          const incoming = contextIn(input.headers);
          // An entity that continues as new for years must not be one trace of years.
          run = begin(`RunWorkflow:${workflowType}`, continuedFromExecutionRunId === undefined ? incoming : undefined);
          if (continuedFromExecutionRunId !== undefined && incoming) {
            const { traceId, spanId, sampled } = incoming;
            Object.assign(run, { continues: { traceId, spanId }, sampled });
          }
          return until(run, next(input));
        },
        handleSignal(input, next) {
          const incoming = contextIn(input.headers);
          return incoming ? until(begin(`HandleSignal:${input.signalName}`, incoming), next(input)) : next(input);
        },
        handleUpdate(input, next) {
          const incoming = contextIn(input.headers);
          return incoming ? until(begin(`HandleUpdate:${input.name}`, incoming), next(input)) : next(input);
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => call(`StartActivity:${input.activityType}`, input, next),
        scheduleLocalActivity: (input, next) => call(`StartActivity:${input.activityType}`, input, next),
        startChildWorkflowExecution: (input, next) => call(`StartChildWorkflow:${input.workflowType}`, input, next),
        signalWorkflow: (input, next) => call(`SignalWorkflow:${input.signalName}`, input, next),
        continueAsNew: (input, next) => next(run ? { ...input, headers: headersWith(input.headers, run) } : input),
      },
    ],
  };
};

function end({ sampled, ...span }: OpenSpan, error?: unknown): void {
  if (!sampled) return;
  const { workflowId, runId } = workflowInfo();
  const failed = error !== undefined && !(error instanceof ContinueAsNew);
  proxySinks<TracingSinks>().keyturnTracing.export({
    ...span,
    endedAt: Date.now(),
    workflowId,
    runId,
    ...(failed && { failure: failureOf(error) }),
  });
}

/** What an activity or a child failed with rather than that it failed. */
function failureOf(error: unknown): { type: string; message: string } {
  let told = error;
  while ((told instanceof ActivityFailure || told instanceof ChildWorkflowFailure) && told.cause) told = told.cause;
  if (!(told instanceof Error)) return { type: typeof told, message: '' };
  const type = told instanceof ApplicationFailure ? told.type : undefined;
  return { type: type ?? told.name, message: told.message };
}

/** Anybody may start a workflow with any header: one that cannot be read is none. */
function contextIn(headers: Headers): TraceContext | undefined {
  const payload = headers[TRACE_HEADER];
  if (!payload) return undefined;
  try {
    const carrier = defaultPayloadConverter.fromPayload<{ traceparent?: string } | null>(payload);
    const [, traceId, spanId, flags] = TRACEPARENT.exec(carrier?.traceparent ?? '') ?? [];
    if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
    return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED };
  } catch {
    return undefined;
  }
}

function headersWith(headers: Headers, { traceId, spanId, sampled }: TraceContext): Headers {
  const traceparent = `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
  return { ...headers, [TRACE_HEADER]: defaultPayloadConverter.toPayload({ traceparent }) };
}

/** 16 hexadecimal digits that are the same in every replay: two 32-bit FNV-1a hashes, mixed as MurmurHash3 ends. */
function spanIdOf(text: string): string {
  return hashOf(text, 0x811c9dc5) + hashOf(text, 0x9e3779b9);
}

function hashOf(text: string, seed: number): string {
  let hash = seed;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash ^= hash >>> 16;
  return (hash >>> 0).toString(16).padStart(8, '0');
}
