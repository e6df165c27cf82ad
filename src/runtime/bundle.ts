import { rename, writeFile } from 'node:fs/promises';
import { DefaultLogger, bundleWorkflowCode } from '@temporalio/worker';
import { bundleKind, WORKFLOW_BUNDLES, workflowBundlePath } from './workflow-bundles';

/**
 * Part of the build: bundles the compiled workflows, once for each failure converter, with tracing and without. Only warnings, errors and the
 * sizes are printed.
 */
async function bundleWorkflows(): Promise<void> {
  const logger = new DefaultLogger('WARN');
  const workflowsPath = require.resolve('../workflows');
  const failureConverterPath = require.resolve('./encoding-failure-converter');
  const tracing = require.resolve('./tracing/workflow-interceptors');
  for (const encrypting of [false, true]) {
    for (const traced of [false, true]) {
      const kind = bundleKind(encrypting, traced);
      const { code } = await bundleWorkflowCode({
        workflowsPath,
        logger,
        ...(encrypting && { failureConverterPath }),
        ...(traced && { workflowInterceptorModules: [tracing] }),
      });
      const path = workflowBundlePath(kind);
      // A worker that starts meanwhile must not read half a bundle.
      await writeFile(`${path}.new`, code);
      await rename(`${path}.new`, path);
      console.log(`${WORKFLOW_BUNDLES[kind]}: ${Math.round(code.length / 1024)} KiB`);
    }
  }
}

bundleWorkflows().catch((error: unknown) => {
  console.error('The workflows could not be bundled.', error);
  process.exitCode = 1;
});
