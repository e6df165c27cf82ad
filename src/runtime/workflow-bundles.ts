import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from './package-root';
import { StartupError } from './startup-error';

/**
 * The prebuilt workflow bundles. There are several because the failure converter is part of the bundle: with payload
 * encryption it must also hide failure messages, without it they must stay readable in the web UI. So are the
 * interceptors that trace.
 */
export const WORKFLOW_BUNDLES = {
  plain: 'workflow-bundle.js',
  encrypting: 'workflow-bundle-encrypting.js',
  'plain-traced': 'workflow-bundle-traced.js',
  'encrypting-traced': 'workflow-bundle-encrypting-traced.js',
} as const;

export type BundleKind = keyof typeof WORKFLOW_BUNDLES;

/** The bundle of a worker with payload encryption or without, with tracing or without. */
export function bundleKind(encrypting: boolean, traced: boolean): BundleKind {
  return `${encrypting ? 'encrypting' : 'plain'}${traced ? '-traced' : ''}`;
}

/** Where the build puts a bundle. */
export function workflowBundlePath(kind: BundleKind): string {
  return join(packageRoot(), 'dist', WORKFLOW_BUNDLES[kind]);
}

/**
 * @throws StartupError when it was not built.
 */
export function builtWorkflowBundle(kind: BundleKind): { codePath: string } {
  const codePath = workflowBundlePath(kind);
  if (!existsSync(codePath)) {
    throw new StartupError(`The workflow bundle ${codePath} is missing. Nothing was started. Run \`npm run build\`.`);
  }
  return { codePath };
}
