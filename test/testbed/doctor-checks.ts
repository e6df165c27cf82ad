import assert from 'node:assert/strict';
import type { Check } from '../../src/client/doctor/check';
import type { Cli } from './cli-process';

/** What `keyturn doctor --json` found; its exit code says whether any of it failed. */
export async function checksOf(cli: Cli, env: Record<string, string> = {}): Promise<Check[]> {
  const { code, ok, result, error } = await cli.json<{ checks: Check[] }>(['doctor'], env);
  const { checks } = ok ? result : (error.details as { checks: Check[] });
  const failed = checks.some(({ state }) => state === 'failed');
  assert.deepEqual(
    { ok, code, type: error?.type },
    failed ? { ok: false, code: 1, type: 'ChecksFailed' } : { ok: true, code: 0, type: undefined },
  );
  return checks;
}

/** One of the checks. */
export async function checkNamed(cli: Cli, name: string, env: Record<string, string> = {}): Promise<Check> {
  const checks = await checksOf(cli, env);
  const found = checks.find((check) => check.name === name);
  if (!found) throw new Error(`no check is named ${name} among ${checks.map((check) => check.name).join(', ')}`);
  return found;
}
