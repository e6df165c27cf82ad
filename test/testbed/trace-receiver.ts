import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import * as generated from '@opentelemetry/otlp-transformer/build/src/generated/root';
import { LOOPBACK } from '../lab/ports';
import { textOf } from './scan';

/** A span as it reached the collector. */
export interface ReceivedSpan {
  service: string;
  name: string;
  traceId: string;
  spanId: string;
  /** Absent for the first span of a trace. */
  parentSpanId?: string;
  attributes: Record<string, unknown>;
  status: { code?: number; message?: string };
  events: { name: string; attributes: Record<string, unknown> }[];
  links: { traceId: string; spanId: string }[];
}

/** What an OpenTelemetry collector is to Keyturn: it takes OTLP over HTTP and keeps what it was sent. */
export interface TraceReceiver {
  /** What switches tracing on, with spans sent soon after they end. */
  env: Record<string, string>;
  spans(): ReceivedSpan[];
  /** All that it was sent, headers included. */
  text(): string;
  /** From now on a request gets no answer. */
  fallSilent(): void;
  /** From now on it keeps nothing and answers with this status, until it is told otherwise. */
  refuse(status: number | undefined): void;
  stop(): Promise<void>;
}

interface Generated {
  opentelemetry: { proto: { collector: { trace: { v1: { ExportTraceServiceRequest: Decoder } } } } };
}

interface Decoder {
  decode(bytes: Uint8Array): unknown;
  toObject(message: unknown, options: { defaults: boolean }): SentSpans;
}

type Value = Record<string, unknown>;

interface SentSpan {
  name: string;
  traceId: Uint8Array;
  spanId: Uint8Array;
  parentSpanId: Uint8Array;
  attributes: { key: string; value: Value }[];
  status: { code?: number; message?: string };
  events: { name: string; attributes: SentSpan['attributes'] }[];
  links: { traceId: Uint8Array; spanId: Uint8Array }[];
}

interface SentSpans {
  resourceSpans: { resource: { attributes: SentSpan['attributes'] }; scopeSpans: { spans: SentSpan[] }[] }[];
}

/** ExportTraceServiceRequest, by the code that the exporter's own package generated from OpenTelemetry's definitions. */
const request = (generated as unknown as Generated).opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;

export async function startTraceReceiver(): Promise<TraceReceiver> {
  const sent: { headers: unknown; message: SentSpans }[] = [];
  let silent = false;
  let refusal: number | undefined;
  const server = createServer((incoming, response) => {
    void buffer(incoming).then((body) => {
      if (silent) return;
      const isTraces = incoming.url === '/v1/traces' && incoming.headers['content-type'] === 'application/x-protobuf';
      if (isTraces && refusal === undefined) {
        const message = request.toObject(request.decode(body), { defaults: true });
        sent.push({ headers: incoming.headers, message });
      }
      response.writeHead(refusal ?? (isTraces ? 200 : 404)).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
  return {
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${LOOPBACK}:${(server.address() as AddressInfo).port}`,
      OTEL_BSP_SCHEDULE_DELAY: '100',
    },
    spans: () => sent.flatMap(({ message }) => spansOf(message)),
    text: () => textOf(sent),
    fallSilent() {
      silent = true;
    },
    refuse(status) {
      refusal = status;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function spansOf({ resourceSpans }: SentSpans): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(attributesOf(resource.attributes)['service.name']);
    return scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        service,
        name: span.name,
        ...idsOf(span),
        ...(span.parentSpanId.length > 0 && { parentSpanId: hex(span.parentSpanId) }),
        attributes: attributesOf(span.attributes),
        status: span.status,
        events: span.events.map(({ name, attributes }) => ({ name, attributes: attributesOf(attributes) })),
        links: span.links.map(idsOf),
      })),
    );
  });
}

const idsOf = ({ traceId, spanId }: { traceId: Uint8Array; spanId: Uint8Array }) => ({
  traceId: hex(traceId),
  spanId: hex(spanId),
});

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

function attributesOf(attributes: SentSpan['attributes']): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
