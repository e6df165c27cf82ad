import { MOTO_ENVIRONMENT } from './moto';
import { PartUnavailable, reportFor, type Report } from './part';
import { runToEnd } from './processes';
import { pythonOf, pythonUnavailable, withoutPythonSettings } from './python';

const PART = 'cfn-lint';
const LINTED_WITHIN_MS = 5 * 60_000;
/** What the script `cfn-lint` does. */
const START = 'import sys; from cfnlint.runner import main; sys.exit(main())';

/** Why this machine cannot have it, as far as that can be said at once; a test file skips with the message. */
export function cfnLintUnavailable(): PartUnavailable | undefined {
  return pythonUnavailable(PART, MOTO_ENVIRONMENT);
}

/**
 * What cfn-lint says of CloudFormation templates, down to mere information; nothing when it finds no fault.
 *
 * @param templates their paths
 * @throws {PartUnavailable}
 */
export async function faultsOfTemplates(templates: string[], report: Report): Promise<string> {
  let python: string;
  try {
    python = await pythonOf(MOTO_ENVIRONMENT, reportFor('cfn-lint', report));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new PartUnavailable(PART, reason, `pip install ${MOTO_ENVIRONMENT.packages.at(-1)}`);
  }
  const { succeeded, output } = await runToEnd(python, ['-c', START, '--', ...templates], LINTED_WITHIN_MS, {
    env: withoutPythonSettings(),
  });
  if (succeeded) return '';
  return output || 'cfn-lint failed without a word';
}
