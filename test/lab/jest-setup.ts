import { startLab } from './lab';
import type { Lab } from './lab';

declare global {
  var keyturnLab: Lab | undefined;
}

/** Starts the real parts once for all test files; their processes read the endpoints from the environment. */
export default async function setUp(): Promise<void> {
  // Each of jest's projects calls it.
  if (globalThis.keyturnLab) return;
  const lab = await startLab({ report: (line) => process.stderr.write(`${line}\n`) });
  globalThis.keyturnLab = lab;
  Object.assign(process.env, lab.env, { LAB_WORKER_AUDIT_URL: lab.auditDatabase.workerUrl });
}
