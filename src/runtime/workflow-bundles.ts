import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from './package-root';
import { StartupError } from './startup-error';

/**
 * The prebuilt workflow bundles. There are two because the failure converter is part of the bundle: with payload
 * encryption it must also hide failure messages, without it they must stay readable in the web UI.
 */
export const WORKFLOW_BUNDLES = { plain: 'workflow-bundle.js', encrypting: 'workflow-bundle-encrypting.js' } as const;

/** Where the build puts a bundle. */
export function workflowBundlePath(kind: keyof typeof WORKFLOW_BUNDLES): string {
  return join(packageRoot(), 'dist', WORKFLOW_BUNDLES[kind]);
}

/**
 * @throws StartupError when it was not built.
 */
export function builtWorkflowBundle(kind: keyof typeof WORKFLOW_BUNDLES): { codePath: string } {
  const codePath = workflowBundlePath(kind);
  if (!existsSync(codePath)) {
    throw new StartupError(`The workflow bundle ${codePath} is missing. Nothing was started. Run \`npm run build\`.`);
  }
  return { codePath };
}
