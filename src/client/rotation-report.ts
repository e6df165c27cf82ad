import type { WorkflowExecutionDescription, WorkflowExecutionStatusName } from '@temporalio/client';
import type { NextCommand } from './grace-period';
import { graceCommands, graceLeftMs } from './grace-period';
import type { RotationResult, RotationStatus } from '../rotation/types';

export type Execution = 'running' | 'completed' | 'failed' | 'cancelled' | 'terminated' | 'timed out' | 'unknown';

/** All that is known of a secret's latest rotation, whether it runs or has ended. Plain JSON. */
export interface RotationReport {
  secretId: string;
  workflowId: string;
  runId: string;
  workflowType: string;
  execution: Execution;
  /** ISO 8601. */
  startedAt: string;
  closedAt?: string;
  /** Who started it and why, from the workflow's own details; known without a worker. */
  staticDetails?: string;
  /** Absent when no worker answered. */
  status?: RotationStatus;
  /** Why `status` is absent. */
  unanswered?: string;
  /** Of a rotation that completed. */
  result?: RotationResult;
  /** Of a rotation that ended otherwise. */
  failure?: { type: string; message: string; details?: unknown };
}

/** One line of `keyturn status` without argument; what visibility knows, which lags by about a second. */
export interface RunningRotation {
  secretId: string;
  workflowId: string;
  runId: string;
  workflowType: string;
  /** ISO 8601. */
  startedAt: string;
  phase?: string;
}

/** A report with what follows from the moment at which it is read, for programs as `keyturn status` tells it people. */
export interface RotationReportNow extends RotationReport {
  /** While it is in its grace period: how long that still lasts, in milliseconds. */
  graceLeftMs?: number;
  /** While it is in its grace period: what an operator can type now. */
  canType?: NextCommand[];
}

export function reportAt(report: RotationReport, now: number): RotationReportNow {
  const { status, secretId, execution } = report;
  const left = status && execution === 'running' ? graceLeftMs(status, now) : undefined;
  return status && left !== undefined
    ? { ...report, graceLeftMs: left, canType: graceCommands(secretId, status) }
    : report;
}

/** `, started by ann: leaked` for the middle of a sentence; empty when nobody said. */
export function startedBy(report: RotationReport): string {
  const { requestedBy, reason } = report.status ?? {};
  if (requestedBy) return `, started by ${requestedBy}${reason ? ` (${reason})` : ''}`;
  return report.staticDetails ? `, ${lowerFirst(report.staticDetails)}` : '';
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** What Temporal itself knows of a run, without asking a worker. */
export async function reportOf(secretId: string, description: WorkflowExecutionDescription): Promise<RotationReport> {
  return {
    secretId,
    workflowId: description.workflowId,
    runId: description.runId,
    workflowType: description.type,
    execution: executionOf(description.status.name),
    startedAt: description.startTime.toISOString(),
    closedAt: description.closeTime?.toISOString(),
    staticDetails: await description.staticDetails(),
  };
}

export function executionOf(name: WorkflowExecutionStatusName): Execution {
  switch (name) {
    case 'RUNNING':
    case 'PAUSED':
      return 'running';
    case 'COMPLETED':
    case 'CONTINUED_AS_NEW':
      return 'completed';
    case 'FAILED':
      return 'failed';
    case 'CANCELLED':
      return 'cancelled';
    case 'TERMINATED':
      return 'terminated';
    case 'TIMED_OUT':
      return 'timed out';
    case 'UNSPECIFIED':
    case 'UNKNOWN':
      return 'unknown';
  }
}
