import type { WorkflowClientInterceptor } from '@temporalio/client';
import type { ActivityInterceptorsFactory, InjectedSinks } from '@temporalio/worker';
import type { OutsideCallObserver } from '../../activities/boundary/activity-scope';
import type { TracingSettings } from './settings';
import type { TracingSinks } from './workflow-span';

/** What makes the spans of a process and sends them. */
export interface Tracing {
  /** For Temporal's client: what is started or asked for begins a trace. */
  client: WorkflowClientInterceptor[];
  /** For the worker, around its other interceptors: they let no value out, and no foreign error. */
  activity: ActivityInterceptorsFactory[];
  /** For a worker with a traced bundle. */
  sinks: InjectedSinks<TracingSinks>;
  onOutsideCall: OutsideCallObserver;
  /** Sends what is left, for two seconds at most. */
  close(): Promise<void>;
}

export interface TracingOptions {
  /** What the process is called unless `OTEL_SERVICE_NAME` says it. */
  service: string;
  /** Whether spans are collected and sent together; else each is sent when it ends. */
  batches: boolean;
  /** Whether the messages of failures may be sent; they may not where Temporal gets them only encrypted. */
  messages: boolean;
  /** Hears when the collector begins to refuse spans or cannot be reached, and when it takes them again. */
  onTrouble?: (error: unknown) => void;
  onRecovery?: () => void;
}

/**
 * Sets tracing up for the whole process, once.
 *
 * @returns `undefined` when it is off; nothing of OpenTelemetry is loaded then.
 */
export async function openTracing(
  settings: TracingSettings | undefined,
  options: TracingOptions,
): Promise<Tracing | undefined> {
  if (!settings) return undefined;
  const { startTracing } = await import('./provider.js');
  return startTracing(settings, options);
}
