import {
  CreateClusterCommand,
  CreateServiceCommand,
  DeleteServiceCommand,
  DescribeServicesCommand,
  ECSClient,
  RegisterTaskDefinitionCommand,
} from '@aws-sdk/client-ecs';
import type { Deployment } from '@aws-sdk/client-ecs';

/** A test file's own ECS cluster in the shared AWS. */
export interface EcsServices {
  cluster: string;
  client: ECSClient;
  create(service: string, deploymentController?: 'CODE_DEPLOY'): Promise<void>;
  delete(service: string): Promise<void>;
  /** The service's only deployment: moto makes a new one of it. */
  deploymentOf(service: string): Promise<Deployment>;
  close(): void;
}

export async function openEcsServices(cluster: string): Promise<EcsServices> {
  const client = new ECSClient({ maxAttempts: 1 });
  await client.send(new CreateClusterCommand({ clusterName: cluster }));
  const taskDefinition = `app-of-${cluster}`;
  const containerDefinitions = [{ name: 'app', image: 'app', memory: 128 }];
  await client.send(new RegisterTaskDefinitionCommand({ family: taskDefinition, containerDefinitions }));
  return {
    cluster,
    client,
    async create(serviceName, deploymentController) {
      // moto ends a deployment at once when no task is to run, and never when one is.
      const service = { cluster, serviceName, taskDefinition, desiredCount: 0 };
      const controller = deploymentController && { deploymentController: { type: deploymentController } };
      await client.send(new CreateServiceCommand({ ...service, ...controller }));
    },
    async delete(service) {
      await client.send(new DeleteServiceCommand({ cluster, service, force: true }));
    },
    async deploymentOf(service) {
      const { services } = await client.send(new DescribeServicesCommand({ cluster, services: [service] }));
      const deployment = services?.[0]?.deployments?.[0];
      if (!deployment) throw new Error(`${service} has no deployment`);
      return deployment;
    },
    close: () => client.destroy(),
  };
}
