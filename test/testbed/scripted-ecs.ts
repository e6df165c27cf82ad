import type { IncomingMessage, ServerResponse } from 'node:http';
import { startLoopbackServer } from '../lab/loopback-server';
import { bytesOf, passOn } from './passing-on';

/** A service as DescribeServices tells it (AWS JSON 1.1; times are seconds since the epoch). */
export interface ToldService {
  status: string;
  deployments: Record<string, unknown>[];
  events: { id: string; createdAt: number; message: string }[];
}

/** What ECS does with one service otherwise than its upstream would. */
export interface Script {
  /** Whether the caller may not call an operation. `begun`: how many deployments were begun here. */
  denies?: (operation: string, begun: number) => boolean;
  /** Changes what is told of it. */
  tell?: (service: ToldService, begun: number) => void;
}

/** An AWS in front of another one, which carries out everything; what ECS says of single services is scripted. */
export interface ScriptedEcs {
  endpoint: string;
  script(service: string, script: Script): void;
  /** The IDs of the deployments that were begun here, in order. */
  begun(service: string): string[];
  stop(): Promise<void>;
}

interface Request {
  cluster?: string;
  service?: string;
  services?: string[];
  forceNewDeployment?: boolean;
}

const TARGET = 'AmazonEC2ContainerService';

export async function startScriptedEcs(upstream: string): Promise<ScriptedEcs> {
  const scripts = new Map<string, Script>();
  const begun = new Map<string, string[]>();
  const begunOf = (service: string) => begun.get(service) ?? [];

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const sent = await bytesOf(request);
    const [target = '', operation = ''] = String(request.headers['x-amz-target'] ?? '').split('.');
    const asked = (target.startsWith(TARGET) ? JSON.parse(sent.toString()) : {}) as Request;
    const service = asked.service ?? asked.services?.[0] ?? '';
    const { denies, tell } = scripts.get(service) ?? {};
    if (denies?.(operation, begunOf(service).length)) {
      const refusal = { __type: 'AccessDeniedException', message: `not authorized to perform: ecs:${operation}` };
      response.writeHead(400, { 'Content-Type': 'application/x-amz-json-1.1' }).end(JSON.stringify(refusal));
      return;
    }
    const { status, headers, body } = await passOn(upstream, request, sent);
    if (operation === 'UpdateService' && asked.forceNewDeployment && status === 200) {
      const { service: updated } = JSON.parse(body.toString()) as { service: { deployments: [{ id: string }] } };
      begun.set(service, [...begunOf(service), updated.deployments[0].id]);
    }
    if (operation !== 'DescribeServices' || !tell || status !== 200) {
      response.writeHead(status, headers).end(body);
      return;
    }
    const answer = JSON.parse(body.toString()) as { services: ToldService[] };
    answer.services.forEach((told) => tell(told, begunOf(service).length));
    response.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.1' }).end(JSON.stringify(answer));
  }

  const { origin, stop } = await startLoopbackServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  return {
    endpoint: origin,
    script: (service, script) => void scripts.set(service, script),
    begun: begunOf,
    stop,
  };
}
