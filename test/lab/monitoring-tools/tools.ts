import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheEntry, cachedEntry } from '../cache';
import { onPath } from '../executables';
import { PartUnavailable, reportFor, secondsSince, type Report } from '../part';
import { lastLines, runToEnd } from '../processes';
import { projectFile } from '../project';

const PART = 'promtool';
const PROMTOOL = 'github.com/prometheus/prometheus/cmd/promtool';
const BUILD_ENDS_MS = 30 * 60_000;

/** Without Prometheus' service discoveries, which rules do not need: two hundred packages fewer. */
const TAGS = 'remove_all_sd';
/** As for Kubernetes: programs that are built sooner rather than run faster. */
const COMPILER_FLAGS = '-gcflags=all=-dwarf=false -l';
const COMPILER_SETTINGS = { CGO_ENABLED: '0', GOGC: '400' };

/** Programs that know the languages of deploy/monitoring. */
export interface MonitoringTools {
  /** Prometheus' own. */
  promtool: string;
  /** Ours around the parsers of Prometheus and of Terraform; see its main.go. */
  alarmsAndQueries: string;
}

/** Why this machine cannot have them, as far as that can be said at once; a test file skips with the message. */
export function monitoringToolsUnavailable(): PartUnavailable | undefined {
  if (onPath('go') !== undefined || cachedEntry(cacheName()) !== undefined) return undefined;
  return unavailable('there is no Go to build it with', 'install Go, version 1.25 or later (https://go.dev/dl)');
}

/**
 * The tools: cached, else built with Go at the versions of go.mod (two minutes of processor time).
 *
 * @throws {PartUnavailable}
 */
export async function monitoringTools(report: Report): Promise<MonitoringTools> {
  const reason = monitoringToolsUnavailable();
  if (reason) throw reason;
  const say = reportFor(PART, report);
  const entry = await cacheEntry(
    cacheName(),
    (folder) => build(folder, say),
    () => say('waiting for another test run that is building it'),
  );
  return { promtool: join(entry, 'promtool'), alarmsAndQueries: join(entry, 'alarms-and-queries') };
}

async function build(folder: string, say: Report): Promise<void> {
  say('building it with Go (one to two minutes, once)');
  const startedAt = Date.now();
  const built = await runToEnd(
    onPath('go') ?? 'go',
    [
      ...['build', '-trimpath', '-buildvcs=false', '-tags', TAGS, COMPILER_FLAGS, '-ldflags', '-s -w'],
      ...['-o', `${folder}/`, './alarms-and-queries', PROMTOOL],
    ],
    BUILD_ENDS_MS,
    { cwd: sources(), env: { ...process.env, ...COMPILER_SETTINGS } },
  );
  if (!built.succeeded) {
    throw unavailable(`building it failed (${lastLines(built.output)})`, 'go version, which must say 1.25 or later');
  }
  say(`built it in ${secondsSince(startedAt)}`);
}

/** Other versions or other sources are another entry. */
function cacheName(): string {
  const hash = createHash('sha256');
  const programs = readdirSync(sources('alarms-and-queries')).sort();
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(sources(file)));
  for (const file of programs) hash.update(readFileSync(sources('alarms-and-queries', file)));
  return `monitoring-tools-${hash.digest('hex').slice(0, 16)}`;
}

function sources(...path: string[]): string {
  return projectFile('test', 'lab', 'monitoring-tools', ...path);
}

function unavailable(reason: string, command: string): PartUnavailable {
  return new PartUnavailable(PART, reason, command);
}
