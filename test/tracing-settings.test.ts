import { ConfigError, readConfig } from '../src/runtime/config';
import { projectFile } from './lab/project';

const CANARY = 'Canary-7f3a';
const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    readConfig({ ...ENDPOINT, ...env });
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message).not.toContain(CANARY);
    return (error as ConfigError).problems;
  }
}

test.each<[string, Record<string, string>]>([
  ['nothing is set', {}],
  ['only others of its settings are set, right or wrong', { OTEL_SERVICE_NAME: 'a', OTEL_TRACES_SAMPLER: 'loud' }],
  ['the endpoint is empty', { OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }],
  ['OTEL_SDK_DISABLED is true', { ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE', OTEL_TRACES_SAMPLER: 'loud' }],
  ['OTEL_TRACES_EXPORTER is none', { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }],
  ['no trace is to be sampled', { ...ENDPOINT, OTEL_TRACES_SAMPLER: 'always_off' }],
])('tracing is off when %s', (_when, env) => {
  expect(readConfig(env)).not.toHaveProperty('tracing');
});

test('an endpoint is enough to switch tracing on, with the defaults of the specification', () => {
  expect(readConfig(ENDPOINT).tracing).toEqual({
    url: 'http://127.0.0.1:4318/v1/traces',
    headers: {},
    timeoutMs: 10_000,
    compression: 'none',
    tls: {},
    ratio: 1,
    batch: { maxQueueSize: 2_048, maxExportBatchSize: 512, scheduledDelayMillis: 5_000, exportTimeoutMillis: 30_000 },
  });
});

test('the settings of traces go before those of all signals, and an endpoint of traces is taken as it is', () => {
  const { tracing } = readConfig({
    ...ENDPOINT,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://collector.example.com/traces',
    OTEL_EXPORTER_OTLP_TIMEOUT: '1',
    OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '2000',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20one,x-tenant=a',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x-tenant = b%2Cc',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    OTEL_EXPORTER_OTLP_CERTIFICATE: projectFile('package.json'),
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0.25',
  });
  expect(tracing).toMatchObject({
    url: 'https://collector.example.com/traces',
    timeoutMs: 2_000,
    headers: { authorization: 'Bearer one', 'x-tenant': 'b,c' },
    compression: 'gzip',
    tls: { ca: projectFile('package.json') },
    ratio: 0.25,
  });
});

test.each([
  ['OTEL_SDK_DISABLED', 'yes'],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'ftp://collector'],
  ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'collector'],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', `http://keyturn:${CANARY}@collector:4318`],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', `http://collector:4318?key=${CANARY}`],
  ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
  ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'http/json'],
  ['OTEL_EXPORTER_OTLP_HEADERS', CANARY],
  ['OTEL_EXPORTER_OTLP_HEADERS', `authorization=%ZZ${CANARY}`],
  ['OTEL_EXPORTER_OTLP_TIMEOUT', '-1'],
  ['OTEL_EXPORTER_OTLP_COMPRESSION', 'brotli'],
  ['OTEL_EXPORTER_OTLP_CERTIFICATE', '/no/such/ca.pem'],
  ['OTEL_EXPORTER_OTLP_CLIENT_KEY', projectFile('package.json')],
  ['OTEL_TRACES_EXPORTER', 'zipkin'],
  ['OTEL_TRACES_SAMPLER', 'jaeger_remote'],
  ['OTEL_RESOURCE_ATTRIBUTES', 'production'],
  ['OTEL_BSP_MAX_QUEUE_SIZE', '0'],
  ['OTEL_BSP_MAX_EXPORT_BATCH_SIZE', '4096'],
  ['OTEL_BSP_SCHEDULE_DELAY', 'soon'],
])('%s=%s is refused by name', (name, value) => {
  expect(problemsOf({ [name]: value })).toEqual([expect.stringContaining(name)]);
});

test('a share that is none is refused', () => {
  expect(problemsOf({ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '10%' })).toEqual([
    expect.stringContaining('OTEL_TRACES_SAMPLER_ARG'),
  ]);
});
