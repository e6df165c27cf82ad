import type {
  BroughtBack,
  Dependent,
  EcsDependent,
  EcsUndoing,
  HttpDependent,
  KubernetesDependent,
  SeenBefore,
  Workload,
} from '../../rotation/dependents';
import { secretPlace } from '../../rotation/dependents';
import type { SecretStore } from '../secrets-manager/store';
import type { StepInput } from '../step-input';
import type { DeployResult, EcsServices } from './ecs';
import { seeHealthy } from './http';
import type { KubernetesClusters, RestartResult } from './kubernetes/clusters';
import { seeMappedFields } from './kubernetes/mapped-fields';
import type { SyncResult } from './kubernetes/sync-result';

export interface DeliverInput extends StepInput {
  /** The version that the dependents have to use. */
  versionId: string;
  dependents: HttpDependent[];
}

export interface LookAtDependentsInput extends StepInput {
  dependents: Dependent[];
  /** Fails when a workload that will be restarted is not available. */
  mustBeAvailable?: boolean;
  /** The version that has the fields of the one that will be delivered; absent where there is none yet. */
  fieldsOf?: string;
}

export interface SeenDependents {
  /** The resourceVersion of each Kubernetes Secret that is there, by {@link secretPlace}. */
  resourceVersions: Record<string, string>;
  /** The revisions of the pod templates that somebody else restarts, by {@link workloadPlace}. */
  revisions: Record<string, string>;
}

export interface SyncInput extends StepInput {
  /** The version that the Kubernetes Secret has to hold. */
  versionId: string;
  dependent: KubernetesDependent;
  /** Absent for a version that is new to the dependents. */
  back?: BroughtBack;
  /** Absent in what began with older workers. */
  seen?: SeenBefore;
}

export interface RestartInput extends SyncInput {
  workload: Workload;
  /** When the Kubernetes Secret got the version, in milliseconds since the epoch by the API server's clock; as far as is known. */
  changedAt?: number;
}

export interface DeployInput extends StepInput {
  /** The version that the tasks have to be started with. */
  versionId: string;
  dependent: EcsDependent;
  service: string;
  /** When the delivery of the version began, in milliseconds since the epoch; the same when it has to be called anew. */
  since?: number;
  /** An earlier call for the same delivery has failed. */
  isAgain?: boolean;
  /** Absent for a version that is new to the tasks. */
  undoing?: EcsUndoing;
}

export interface DeliveryDependencies {
  secrets: Pick<SecretStore, 'readVersion' | 'findVersion'>;
  kubernetes: KubernetesClusters;
  ecs: EcsServices;
}

export function createDeliveryActivities({ secrets, kubernetes, ecs }: DeliveryDependencies) {
  return {
    /** Sees that there is everything that a delivery will need, before anything is changed. */
    async lookAtDependents({
      secretId,
      dependents,
      mustBeAvailable = false,
      fieldsOf,
    }: LookAtDependentsInput): Promise<SeenDependents> {
      const seen: SeenDependents = { resourceVersions: {}, revisions: {} };
      await Promise.all(
        dependents.map(async (dependent) => {
          if (dependent.kind === 'ecs') await ecs.look(dependent);
          if (dependent.kind !== 'kubernetes') return;
          const { resourceVersion, revisions } = await kubernetes.look(dependent, mustBeAvailable);
          if (resourceVersion !== undefined) seen.resourceVersions[secretPlace(dependent)] = resourceVersion;
          Object.assign(seen.revisions, revisions);
        }),
      );
      if (fieldsOf !== undefined) await seeMappedFields(secrets, { secretId, versionId: fieldsOf }, dependents);
      return seen;
    },

    /**
     * Looks at the health of every dependent once, and fails to be tried again while one does not work with the version yet: the
     * waiting is Temporal's and takes no place from other rotations.
     */
    async deliver({ dependents }: DeliverInput): Promise<void> {
      await Promise.all(dependents.map(seeHealthy));
    },

    /** Gets a version into a Kubernetes Secret, and waits until it is there. */
    async syncToKubernetes({ secretId, versionId, dependent, back, seen }: SyncInput): Promise<SyncResult> {
      const text = await secrets.readVersion(secretId, versionId);
      const undone = back?.undoes;
      const findUndone = undone === undefined ? undefined : () => secrets.findVersion(secretId, undone);
      return kubernetes.sync(dependent, versionId, text, { back, seen, findUndone });
    },

    /** Has a workload started anew for a version, once, and waits until it is available. */
    async restartWorkload({ versionId, dependent, workload, ...about }: RestartInput): Promise<RestartResult> {
      const { secretId, back, changedAt, seen } = about;
      return kubernetes.restart(dependent, workload, versionId, { secretId, ...back, changedAt, seen });
    },

    /** Has an ECS service's tasks started anew for a version, and waits until they are the only ones. */
    async deployToEcs({ dependent, service, ...about }: DeployInput): Promise<DeployResult> {
      return ecs.deploy(dependent, service, about);
    },
  };
}
