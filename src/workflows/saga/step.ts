import type { RotationPlan } from '../../rotation/plan';
import type { Phase, RotationInput, SecretInspection } from '../../rotation/types';
import type { StepActivities } from './activities';

/** What every step of a recipe knows. */
export interface RotationContext<P extends RotationPlan = RotationPlan> {
  plan: P;
  input: RotationInput;
  /** The secret as it was found: the labels that a rollback restores. */
  found: SecretInspection;
  /** The VersionId that becomes AWSCURRENT. It is also the ClientRequestToken under which it is created. */
  candidate: string;
  /** True when the candidate is the version labelled AWSPREVIOUS, and nothing new is drawn. */
  goingBack: boolean;
  /** Things to tell the operator although the rotation succeeds. */
  warnings: string[];
  /** Alternating users: somebody still works with the old login. */
  oldLoginInUse: boolean;
  /** What is known of the Kubernetes Secrets, by `secretPlace`, and of the workloads. */
  kubernetes: {
    /** As they were before anything was changed. */
    resourceVersions: Record<string, string>;
    /** Those of the workloads' pod templates then, by `workloadPlace`. */
    revisions: Record<string, string>;
    /** When one got a version: `{place} {versionId}`, in milliseconds since the epoch by the API server's clock. */
    changedAt: Record<string, number>;
  };
  /** The deployments of ECS services that this rotation has asked for: `{cluster}/{service} {versionId}`. */
  ecs: {
    /** When each was asked for first, in milliseconds since the epoch. */
    since: Record<string, number>;
    /** Those that were seen through. */
    done: string[];
  };
  /** API keys: what the steps so far have found and made. */
  keys: KeysOfRotation;
}

/** References only: the provider's public key IDs, and times. */
export interface KeysOfRotation {
  /** The key in AWSCURRENT when the rotation began. */
  old?: string;
  /** When it was last used before this rotation tried it itself, ISO 8601. */
  oldLastUsedAt?: string;
  /** What the provider called its last use right after this rotation had tried it, ISO 8601. */
  ownUse?: string;
  /** Something that a terminated rotation left has to be put in order. */
  leftovers: boolean;
  /** The key that this rotation made. */
  new?: string;
  /** When the rotation set out to make it, ISO 8601. */
  since?: string;
  /** When the provider itself ends the old key, in milliseconds since the epoch. */
  oldExpiresAt?: number;
  /** The planned end of the grace period, in milliseconds since the epoch. */
  graceEndsAt?: number;
  /** How often the secondary secret was written; its versions are numbered by it. */
  announcements: number;
  /** The number of the last one that was done; 0 before the first. */
  lastAnnouncement: number;
  /** What the provider can do. */
  can: { tellUse: boolean; deactivate: boolean; delete: boolean };
}

/**
 * One step of a recipe. It is one or more activities, each of which may run again after its answer was lost.
 */
export interface Step<P extends RotationPlan> {
  name: string;
  /** What it does, as an imperative sentence; shown in a dry run, in `status`, and beside the activity in the web UI. */
  summary(context: RotationContext<P>): string;
  /** Left out when this says so. */
  when?(context: RotationContext<P>): boolean;
  run(context: RotationContext<P>, activities: StepActivities): Promise<void>;
  undo?: {
    summary(context: RotationContext<P>): string;
    run(context: RotationContext<P>, activities: StepActivities): Promise<void>;
    /** Left out when this says so. */
    when?(context: RotationContext<P>): boolean;
    /**
     * What stays as it is because there is nothing to go back to, as warnings; `undefined` where there is something. It is then not run, and
     * not said to be undone. Asked when the undoing comes to it.
     */
    leaves?(context: RotationContext<P>): string[] | undefined;
    /** It passes on what the other compensations restore, and so comes after them. */
    afterTheOthers?: true;
    /** It would remove what is needed to finish a compensation that failed, and is then left out. */
    unlessOthersFailed?: true;
  };
  phase?: Phase;
  /** Only looks, so that a dry run does it as well. */
  onlyLooks?: true;
  /** Cannot be undone: from here the rotation only goes forward. */
  pointOfNoReturn?(context: RotationContext<P>): boolean;
}

export type Recipe<P extends RotationPlan> = readonly Step<P>[];
