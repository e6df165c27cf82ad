import { readFileSync } from 'node:fs';
import type { ExportResult } from '@opentelemetry/core';
import { ExportResultCode } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import type { ReadableSpan, Sampler, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { SamplingDecision } from '@opentelemetry/sdk-trace-base';
import { ROOT_CONTEXT, SpanKind } from '@opentelemetry/api';
import { fitToLeave } from './fit-to-leave';
import type { TracingSettings } from './settings';
import type { TracingOptions } from './tracing';

/**
 * Sends spans to the collector over OTLP/HTTP, each made {@link fitToLeave}. What the collector does not take is dropped: nothing waits
 * for it, and only the first failure after a success is told.
 *
 * @param sampler decides by the trace's ID. Workflows that nobody's trace has started are all recorded, because their sandbox knows no
 * settings; this is where they are sampled.
 */
export function createCollector(
  settings: TracingSettings,
  { messages, onTrouble, onRecovery }: TracingOptions,
  sampler: Sampler,
): SpanExporter {
  const exporter = exporterTo(settings);
  let failing = false;

  function note({ code, error }: ExportResult): void {
    if (code === ExportResultCode.FAILED && !failing) onTrouble?.(error);
    if (code === ExportResultCode.SUCCESS && failing) onRecovery?.();
    failing = code === ExportResultCode.FAILED;
  }

  const isSampled = (span: ReadableSpan) =>
    sampler.shouldSample(ROOT_CONTEXT, span.spanContext().traceId, span.name, SpanKind.INTERNAL, {}, []).decision ===
    SamplingDecision.RECORD_AND_SAMPLED;

  return {
    export(spans, done) {
      const sent = spans.filter(isSampled).map((span) => fitToLeave(span, messages));
      if (sent.length === 0) {
        done({ code: ExportResultCode.SUCCESS });
        return;
      }
      exporter.export(sent, (result) => {
        note(result);
        // The span processor would tell of every failure.
        done({ code: ExportResultCode.SUCCESS });
      });
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}

function exporterTo({ url, headers, timeoutMs, compression, tls }: TracingSettings): OTLPTraceExporter {
  const { ca, cert, key } = tls;
  const files = Object.entries({ ca, cert, key }).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return new OTLPTraceExporter({
    url,
    headers,
    timeoutMillis: timeoutMs,
    compression: compression as Exclude<ConstructorParameters<typeof OTLPTraceExporter>[0], undefined>['compression'],
    httpAgentOptions: {
      keepAlive: true,
      ...Object.fromEntries(files.map(([name, path]) => [name, readFileSync(path)])),
    },
  });
}
