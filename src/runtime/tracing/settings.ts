import { accessSync, constants } from 'node:fs';

/** Where spans go and which. Holds credentials: never log it. */
export interface TracingSettings {
  /** Of the collector, with the path of its traces. */
  url: string;
  /** Sent with every request. */
  headers: Record<string, string>;
  /** For one request with its repetitions, in milliseconds. */
  timeoutMs: number;
  compression: 'gzip' | 'none';
  /** Paths of PEM files. */
  tls: { ca?: string; cert?: string; key?: string };
  /** Which share of the traces is sent, from 0 to 1. */
  ratio: number;
  batch: {
    maxQueueSize: number;
    maxExportBatchSize: number;
    scheduledDelayMillis: number;
    exportTimeoutMillis: number;
  };
}

type Environment = Record<string, string | undefined>;

const TRUE_OR_FALSE = ['true', 'false'];
const SAMPLERS = ['always_on', 'always_off', 'traceidratio', 'parentbased_always_on', 'parentbased_traceidratio'];
const EXPORTER = 'OTEL_EXPORTER_OTLP';

/**
 * Reads what OpenTelemetry's specification calls for ("Environment Variable Specification" and "OTLP Exporter"). Without an endpoint
 * there is no tracing, and nothing else is looked at.
 *
 * @param problems gets a sentence for each wrong setting; values that may hold a credential are not in it.
 * @returns `undefined` when tracing is off.
 */
export function readTracingSettings(env: Environment, problems: string[]): TracingSettings | undefined {
  const read = new Reader(env, problems);
  if (read.choice('OTEL_SDK_DISABLED', TRUE_OR_FALSE, 'false') === 'true') return undefined;
  const endpoint = read.endpoint();
  if (endpoint === undefined) return undefined;
  if (read.choice('OTEL_TRACES_EXPORTER', ['otlp', 'none'], 'otlp') === 'none') return undefined;
  read.choice(read.ofTraces('PROTOCOL'), ['http/protobuf'], 'http/protobuf');
  read.pairs('OTEL_RESOURCE_ATTRIBUTES');
  const ratio = read.ratio();
  if (ratio === undefined) return undefined;
  const settings: TracingSettings = {
    url: endpoint,
    headers: { ...read.pairs(`${EXPORTER}_HEADERS`), ...read.pairs(`${EXPORTER}_TRACES_HEADERS`) },
    timeoutMs: read.count(read.ofTraces('TIMEOUT'), 10_000),
    compression: read.choice(read.ofTraces('COMPRESSION'), ['gzip', 'none'], 'none') === 'gzip' ? 'gzip' : 'none',
    tls: {
      ca: read.file(read.ofTraces('CERTIFICATE')),
      cert: read.file(read.ofTraces('CLIENT_CERTIFICATE')),
      key: read.file(read.ofTraces('CLIENT_KEY')),
    },
    ratio,
    batch: {
      maxQueueSize: read.count('OTEL_BSP_MAX_QUEUE_SIZE', 2_048),
      maxExportBatchSize: read.count('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512),
      scheduledDelayMillis: read.count('OTEL_BSP_SCHEDULE_DELAY', 5_000),
      exportTimeoutMillis: read.count('OTEL_BSP_EXPORT_TIMEOUT', 30_000),
    },
  };
  if ((settings.tls.cert === undefined) !== (settings.tls.key === undefined)) {
    problems.push(
      `${EXPORTER}_CLIENT_CERTIFICATE and ${EXPORTER}_CLIENT_KEY: only one is set; expected both or neither`,
    );
  }
  if (settings.batch.maxExportBatchSize > settings.batch.maxQueueSize) {
    problems.push('OTEL_BSP_MAX_EXPORT_BATCH_SIZE is larger than OTEL_BSP_MAX_QUEUE_SIZE; expected at most that');
  }
  return settings;
}

class Reader {
  constructor(
    private readonly env: Environment,
    private readonly problems: string[],
  ) {}

  /** The variable that counts: that of traces alone goes before that of all signals. */
  ofTraces(name: string): string {
    const own = `${EXPORTER}_TRACES_${name}`;
    return this.text(own) === undefined ? `${EXPORTER}_${name}` : own;
  }

  endpoint(): string | undefined {
    const name = this.ofTraces('ENDPOINT');
    const text = this.text(name);
    if (text === undefined) return undefined;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url?.username || url?.password) {
      this.problems.push(
        `${name} holds a user name or a password; expected a URL without them, and credentials in ${EXPORTER}_HEADERS (the value is not shown here)`,
      );
    } else if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash) {
      const shown = text.includes('@') || url?.search ? ' (the value is not shown here)' : '';
      this.problems.push(
        `${name} is ${shown ? 'no such URL' : `'${text}'`}; expected an http or https URL without a query, such as http://127.0.0.1:4318${shown}`,
      );
    }
    return name === `${EXPORTER}_ENDPOINT` ? `${text.replace(/\/$/, '')}/v1/traces` : text;
  }

  choice(name: string, choices: readonly string[], standard: string): string {
    const text = this.text(name)?.toLowerCase() ?? standard;
    if (choices.includes(text)) return text;
    const of = choices.length === 1 ? '' : 'one of ';
    this.problems.push(`${name} is '${text}'; expected ${of}${choices.join(', ')}`);
    return standard;
  }

  count(name: string, standard: number): number {
    const text = this.text(name) ?? `${standard}`;
    if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
    this.problems.push(`${name} is '${text}'; expected a whole number above 0, such as ${standard}`);
    return standard;
  }

  file(name: string): string | undefined {
    const path = this.text(name);
    try {
      if (path !== undefined) accessSync(path, constants.R_OK);
    } catch {
      this.problems.push(`${name}: ${path} cannot be read; expected the path of a PEM file`);
    }
    return path;
  }

  /** `name=value,…` with percent-encoded values, as W3C Baggage writes them. */
  pairs(name: string): Record<string, string> {
    const pairs: Record<string, string> = {};
    for (const part of (this.text(name) ?? '').split(',').filter((piece) => piece.trim() !== '')) {
      const [, key, value] = /^\s*([\w.!#$%&'*+^`|~/-]+)\s*=(.*)$/.exec(part) ?? [];
      const decoded = value === undefined ? undefined : percentDecoded(value.trim());
      if (key === undefined || decoded === undefined) {
        this.problems.push(
          `${name} is no list such as name=value,name=value with percent-encoded values (it is not shown here)`,
        );
        break;
      }
      pairs[key] = decoded;
    }
    return pairs;
  }

  /** @returns `undefined` when no trace is wanted. */
  ratio(): number | undefined {
    const sampler = this.choice('OTEL_TRACES_SAMPLER', SAMPLERS, 'parentbased_always_on');
    if (sampler === 'always_off') return undefined;
    if (!sampler.endsWith('traceidratio')) return 1;
    const text = this.text('OTEL_TRACES_SAMPLER_ARG') ?? '1';
    if (/^(0(\.\d+)?|1(\.0+)?|\.\d+)$/.test(text)) return Number(text);
    this.problems.push(`OTEL_TRACES_SAMPLER_ARG is '${text}'; expected a number from 0 to 1, such as 0.1`);
    return 1;
  }

  private text(name: string): string | undefined {
    return this.env[name]?.trim() || undefined;
  }
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
