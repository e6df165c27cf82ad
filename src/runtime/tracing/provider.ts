import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Tracer } from '@opentelemetry/api';
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { envDetectorSync, Resource } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  SimpleSpanProcessor,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import type { WorkflowClientInterceptor } from '@temporalio/client';
import { OpenTelemetryWorkflowClientInterceptor } from '@temporalio/interceptors-opentelemetry/lib/client';
import { OpenTelemetryActivityInboundInterceptor } from '@temporalio/interceptors-opentelemetry/lib/worker';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import type { OutsideCallObserver } from '../../activities/boundary/activity-scope';
import type { StepInput } from '../../activities/step-input';
import { packageVersion } from '../package-root';
import { createCollector } from './collector';
import type { TracingSettings } from './settings';
import type { Tracing, TracingOptions } from './tracing';
import { readableSpan } from './workflow-spans';

const CLOSE_WITHIN_MS = 2_000;

/** Loads OpenTelemetry; call it through openTracing, once in a process. */
export function startTracing(settings: TracingSettings, options: TracingOptions): Tracing {
  const resource = new Resource({
    'service.name': options.service,
    'service.version': packageVersion(),
    'service.instance.id': `${process.pid}@${hostname()}`,
  }).merge(envDetectorSync.detect() as Resource);
  const sampler = new TraceIdRatioBasedSampler(settings.ratio);
  const collector = createCollector(settings, options, sampler);
  const processor = options.batches
    ? new BatchSpanProcessor(collector, settings.batch)
    : new SimpleSpanProcessor(collector);
  const provider = new BasicTracerProvider({
    resource,
    sampler: new ParentBasedSampler({ root: sampler }),
    spanProcessors: [processor],
  });
  provider.register({
    contextManager: new AsyncLocalStorageContextManager().enable(),
    // Nothing but trace and span IDs: baggage would carry what others put into it.
    propagator: new W3CTraceContextPropagator(),
  });
  const tracer = provider.getTracer('keyturn', packageVersion());
  return {
    client: [clientInterceptor(tracer)],
    activity: [activityInterceptor(tracer)],
    sinks: {
      keyturnTracing: {
        export: { fn: (_info, span) => processor.onEnd(readableSpan(span, resource)), callDuringReplay: false },
      },
    },
    onOutsideCall: outsideCallObserver(tracer),
    async close() {
      const sent = provider.shutdown().catch(() => undefined);
      await Promise.race([sent, sleep(CLOSE_WITHIN_MS, undefined, { ref: false })]);
    },
  };
}

/** Only what changes something: a command that waits asks for the status twice a second. */
function clientInterceptor(tracer: Tracer): WorkflowClientInterceptor {
  const all = new OpenTelemetryWorkflowClientInterceptor({ tracer });
  return {
    startWithDetails: (input, next) => all.startWithDetails(input, next),
    signal: (input, next) => all.signal(input, next),
    signalWithStart: (input, next) => all.signalWithStart(input, next),
    startUpdate: (input, next) => all.startUpdate(input, next),
  };
}

function activityInterceptor(tracer: Tracer): ActivityInterceptorsFactory {
  return (context) => {
    const around = new OpenTelemetryActivityInboundInterceptor(context, { tracer });
    return {
      inbound: {
        execute: (input, next) =>
          around.execute(input, (within) => {
            const { secretId, step } = (within.args[0] ?? {}) as Partial<StepInput>;
            trace.getActiveSpan()?.setAttributes({
              'keyturn.attempt': context.info.attempt,
              ...(typeof secretId === 'string' && { 'keyturn.secret': secretId }),
              ...(typeof step === 'string' && { 'keyturn.step': step }),
            });
            return next(within);
          }),
      },
    };
  };
}

/** AWS's services by the names that the audit log has for them, and as their SDK calls them (`serviceId`). */
const AWS_SERVICES: Record<string, string> = {
  secretsmanager: 'Secrets Manager',
  iam: 'IAM',
  kms: 'KMS',
  s3: 'S3',
  sns: 'SNS',
  sqs: 'SQS',
  ecs: 'ECS',
};

/** Semantic conventions for AWS SDK client spans, without anything that is in a request or an answer. */
function outsideCallObserver(tracer: Tracer): OutsideCallObserver {
  return (system, operation) => {
    const service = AWS_SERVICES[system];
    const span = tracer.startSpan(service ? `${service}.${operation}` : `${system} ${operation}`, {
      kind: SpanKind.CLIENT,
      attributes: {
        'keyturn.system': system,
        'keyturn.operation': operation,
        ...(service && { 'rpc.system': 'aws-api', 'rpc.service': service, 'rpc.method': operation }),
      },
    });
    return (outcome, failed) => {
      span.setAttribute('keyturn.outcome', outcome);
      if (failed) span.setAttribute('error.type', outcome).setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    };
  };
}
