import { SpanStatusCode } from '@opentelemetry/api';
import { Resource } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { BasicTracerProvider, SimpleSpanProcessor, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace-base';
import { createCollector } from '../src/runtime/tracing/collector';
import { readTracingSettings } from '../src/runtime/tracing/settings';
import type { TracingSettings } from '../src/runtime/tracing/settings';
import type { WorkflowSpan } from '../src/runtime/tracing/workflow-span';
import { readableSpan } from '../src/runtime/tracing/workflow-spans';
import type { TraceReceiver } from './testbed/trace-receiver';
import { startTraceReceiver } from './testbed/trace-receiver';

const CANARY = 'Canary-7f3a';
const all = new TraceIdRatioBasedSampler(1);

let receiver: TraceReceiver;
beforeEach(async () => {
  receiver = await startTraceReceiver();
});
afterEach(() => receiver.stop());

const settings = (env: Record<string, string> = {}): TracingSettings =>
  readTracingSettings({ ...receiver.env, ...env }, []) as TracingSettings;

function workflowSpan(span: Partial<WorkflowSpan> = {}): ReadableSpan {
  const ids = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), workflowId: 'rotation/dev/app', runId: 'run' };
  return readableSpan({ name: 'RunWorkflow:a', startedAt: 1_500, endedAt: 2_750, ...ids, ...span }, Resource.empty());
}

/** Sends spans as a process does, and waits until they are sent or given up. */
async function send(spans: ReadableSpan[], { sampler = all, messages = true, env = {}, ...hears } = {}): Promise<void> {
  const collector = createCollector(settings(env), { service: 'test', batches: false, messages, ...hears }, sampler);
  await new Promise((resolve) => collector.export(spans, resolve));
  await collector.shutdown();
}

test('of what libraries hang onto a span only known attributes leave, and of an exception no stack', async () => {
  const kept: ReadableSpan[] = [];
  const keep = {
    export: (spans: ReadableSpan[], done: (r: { code: number }) => void) => (kept.push(...spans), done({ code: 0 })),
  };
  const provider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor({ ...keep, shutdown: () => Promise.resolve() })],
  });
  const span = provider.getTracer('test').startSpan('Secrets Manager.PutSecretValue', {
    links: [
      { context: { traceId: 'c'.repeat(32), spanId: 'd'.repeat(16), traceFlags: 1 }, attributes: { link: CANARY } },
    ],
  });
  span.setAttributes({ 'rpc.method': 'PutSecretValue', 'aws.request.params': CANARY, 'db.statement': CANARY });
  span.addEvent('request', { body: CANARY });
  span.recordException(new Error(`the URL postgresql://app:${CANARY}@db/orders is not understood`));
  span.setStatus({ code: SpanStatusCode.ERROR, message: `password=${CANARY}` });
  span.end();
  await send(kept);
  expect(receiver.text()).not.toContain(CANARY);
  expect(receiver.spans()).toEqual([
    expect.objectContaining({
      attributes: { 'rpc.method': 'PutSecretValue' },
      status: { code: SpanStatusCode.ERROR, message: 'password=[redacted]' },
      events: [
        {
          name: 'exception',
          attributes: {
            'exception.type': 'Error',
            'exception.message': 'the URL postgresql://app:[redacted]@db/orders is not understood',
          },
        },
      ],
      links: [{ traceId: 'c'.repeat(32), spanId: 'd'.repeat(16) }],
    }),
  ]);
});

test("a workflow's span leaves with its parent, its link and its failure", async () => {
  const continues = { traceId: 'c'.repeat(32), spanId: 'd'.repeat(16) };
  const failure = { type: 'RotationRefused', message: 'it was refused' };
  await send([workflowSpan({ parentSpanId: 'e'.repeat(16), continues, failure })]);
  expect(receiver.spans()).toEqual([
    expect.objectContaining({
      name: 'RunWorkflow:a',
      parentSpanId: 'e'.repeat(16),
      links: [continues],
      status: { code: SpanStatusCode.ERROR, message: 'it was refused' },
      attributes: { temporalWorkflowId: 'rotation/dev/app', run_id: 'run', 'error.type': 'RotationRefused' },
    }),
  ]);
});

test('a share is taken by the ID of the trace, so that a trace is whole or not there', async () => {
  const traceIds = Array.from(
    { length: 200 },
    (_, n) => `${(n * 2654435761 + 1).toString(16).padStart(16, '1')}${'0'.repeat(16)}`,
  );
  const spans = traceIds.flatMap((traceId) => ['1', '2'].map((n) => workflowSpan({ traceId, spanId: n.repeat(16) })));
  await send(spans, { sampler: new TraceIdRatioBasedSampler(0.3) });
  const received = receiver.spans();
  const traces = new Set(received.map(({ traceId }) => traceId));
  expect(received).toHaveLength(2 * traces.size);
  expect(traces.size).toBeGreaterThan(0);
  expect(traces.size).toBeLessThan(traceIds.length);
});

test('a collector that is down is told of once, and once that it is back', async () => {
  const told: string[] = [];
  const env = { OTEL_EXPORTER_OTLP_TIMEOUT: '300' };
  const options = { service: 'test', batches: false, messages: true };
  const hears = { onTrouble: () => void told.push('trouble'), onRecovery: () => void told.push('recovery') };
  const collector = createCollector(settings(env), { ...options, ...hears }, all);
  const sent = () => new Promise((resolve) => collector.export([workflowSpan()], resolve));
  await sent();
  receiver.refuse(400);
  await sent();
  await sent();
  receiver.refuse(undefined);
  await sent();
  expect(told).toEqual(['trouble', 'recovery']);
  expect(receiver.spans()).toHaveLength(2);
  await collector.shutdown();
});

test('credentials for the collector go with the request', async () => {
  await send([workflowSpan()], { env: { OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20one' } });
  expect(receiver.text()).toContain('Bearer one');
});
