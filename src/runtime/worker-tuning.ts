import { hostname } from 'node:os';
import type { WorkerOptions } from '@temporalio/worker';
import type { WorkerConfig } from './config';
import { packageVersion } from './package-root';

/**
 * Every limit of the worker, set on purpose. Kubernetes gives a pod 30 s by default (terminationGracePeriodSeconds)
 * before it sends SIGKILL; the shutdown times fit into that.
 */
export function workerTuning(config: WorkerConfig): Partial<WorkerOptions> {
  return {
    // A step takes well under a second, or is a wait that hears its cancellation: this lets nearly all of them end by
    // themselves.
    shutdownGraceTime: '15 seconds',
    // A step that ignores its cancellation is cut off before SIGKILL would do it without a log line; its retry finds
    // out what it did.
    shutdownForceTime: '25 seconds',

    // Each may hold one connection to a target. Together they stay below the 100 connections that a PostgreSQL server
    // admits by default, so that a fleet whose secrets all open one server does not lock its applications out.
    maxConcurrentActivityTaskExecutions: 40,
    maxConcurrentLocalActivityExecutions: 40,
    // A workflow task stays open while its local activities run, so there must be more of these than of those: else
    // rotations that could go on would wait behind the logins of others.
    maxConcurrentWorkflowTaskExecutions: 100,
    // About 1 MB each. A rotation in its grace period sleeps for weeks, and reading its hundred events again when it
    // wakes costs nothing.
    maxCachedWorkflows: config.maxCachedWorkflows,

    // Two polls always wait, so that the next step of a single rotation starts at once; the server's feedback raises
    // that for a fleet.
    workflowTaskPollerBehavior: { type: 'autoscaling', minimum: 2, initial: 4, maximum: 20 },
    activityTaskPollerBehavior: { type: 'autoscaling', minimum: 2, initial: 4, maximum: 20 },

    // After SIGKILL the next workflow task first waits this long for the dead worker. A live one takes its tasks within
    // milliseconds, and another one pays for a false alarm with one replay.
    stickyQueueScheduleToStartTimeout: '3 seconds',

    // Cancellation and the end of an activity's time reach it in the answers to its heartbeats: an abort must not wait
    // for the default 60 s.
    maxHeartbeatThrottleInterval: '5 seconds',
    defaultHeartbeatThrottleInterval: '5 seconds',

    // Would run workflows without their time limit and without their sandbox's thread, also when TEMPORAL_DEBUG is set
    // by accident.
    debugMode: false,

    // Names the process, the pod (in Kubernetes) and the build in the web UI and in every history.
    identity: `${process.pid}@${hostname()}/keyturn-${buildOf(config)}`,

    ...versioning(config),
  };
}

/** What runs here: the deployment's build ID, or Keyturn's own version. */
export function buildOf(config: WorkerConfig): string {
  return config.deployment?.buildId ?? packageVersion();
}

/**
 * Rotations live for weeks. Pinned to the build that started them, they would keep its pods, and its bugs, for as long;
 * with AUTO_UPGRADE they move to the current build at their next task. That asks for deterministic changes: patches
 * bridge them, and the replay of recorded histories guards them.
 */
function versioning({ deployment }: WorkerConfig): Partial<WorkerOptions> {
  if (!deployment) return {};
  return {
    workerDeploymentOptions: {
      version: { deploymentName: deployment.name, buildId: deployment.buildId },
      useWorkerVersioning: true,
      defaultVersioningBehavior: 'AUTO_UPGRADE',
    },
  };
}
