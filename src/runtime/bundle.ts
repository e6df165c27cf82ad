import { rename, writeFile } from 'node:fs/promises';
import { DefaultLogger, bundleWorkflowCode } from '@temporalio/worker';
import { WORKFLOW_BUNDLES, workflowBundlePath } from './workflow-bundles';

/**
 * Part of the build: bundles the compiled workflows, once for each failure converter. Only warnings, errors and the
 * sizes are printed.
 */
async function bundleWorkflows(): Promise<void> {
  const logger = new DefaultLogger('WARN');
  const workflowsPath = require.resolve('../workflows');
  const converters = { plain: undefined, encrypting: require.resolve('./encoding-failure-converter') };
  for (const kind of Object.keys(WORKFLOW_BUNDLES) as (keyof typeof WORKFLOW_BUNDLES)[]) {
    const { code } = await bundleWorkflowCode({ workflowsPath, failureConverterPath: converters[kind], logger });
    const path = workflowBundlePath(kind);
    // A worker that starts meanwhile must not read half a bundle.
    await writeFile(`${path}.new`, code);
    await rename(`${path}.new`, path);
    console.log(`${WORKFLOW_BUNDLES[kind]}: ${Math.round(code.length / 1024)} KiB`);
  }
}

bundleWorkflows().catch((error: unknown) => {
  console.error('The workflows could not be bundled.', error);
  process.exitCode = 1;
});
