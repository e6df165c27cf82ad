import { Connection } from '@temporalio/client';
// The way in which the SDK's own TestWorkflowEnvironment asks for the test service. It is not used itself, because a server that it
// started outlives a killed test.
import { InternalConnectionOptionsSymbol, type InternalConnectionOptions } from '@temporalio/client/lib/connection';
import { msNumberToTs, tsToMs } from '@temporalio/common/lib/time';
import { setTimeout as delay } from 'node:timers/promises';
import { SEARCH_ATTRIBUTES } from '../../src/rotation/names';
import { onPath } from './executables';
import { PartUnavailable, reportFor, secondsSince, type Report } from './part';
import { freePort, LOOPBACK } from './ports';
import { lastLines, startProcess, type RunningProcess } from './processes';
import { projectFile } from './project';
import { testServerJars } from './time-skipping-download';
import { TEST_SERVER_VERSION } from './time-skipping-jars';

/**
 * Temporal's test server, whose clock stands still for nobody but can be moved on: days pass in milliseconds for the workflows on it.
 * Only its clock; activities, AWS and PostgreSQL keep the machine's.
 */
export interface TimeSkippingTemporal {
  /** `host:port` of the frontend; the namespace is `default`. */
  address: string;
  /** The server's time, in milliseconds since 1970. */
  now(): Promise<number>;
  /**
   * Lets that many milliseconds pass on the server. Timers on the way fire when they are due, and while a workflow or an activity that
   * they woke is at work the time passes as fast as everywhere.
   */
  skip(milliseconds: number): Promise<void>;
  /**
   * Lets a skip that is under way go on although a workflow that it woke finds no worker, which it would wait for. It has to have woken
   * one, and only one.
   *
   * @returns makes skips wait again; to be called when the one under way is over, before there is a worker.
   */
  waitForNobody(): Promise<() => Promise<void>>;
  stop(): Promise<void>;
}

const PART = 'Time-skipping Temporal';
const READY_WITHIN_MS = 60_000;
const ANSWERS_WITHIN_MS = 5_000;
const ATTEMPTS = 3;

/** INDEXED_VALUE_TYPE_KEYWORD of Temporal's API. */
const KEYWORD = 2;

/** Quick to start and small, rather than fast in the long run. */
const JVM_OPTIONS = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx256m'];

/** Why this machine cannot have it, as far as that can be said at once; a test file skips with the message. */
export function timeSkippingUnavailable(): PartUnavailable | undefined {
  // The compiler is needed too: what is started is a source file.
  const missing = ['java', 'javac'].find((program) => onPath(program) === undefined);
  if (missing === undefined) return undefined;
  return new PartUnavailable(PART, `there is no ${missing} on PATH`, 'install a JDK, version 11 or later');
}

/**
 * Starts a server of its own on a free loopback port, with Keyturn's search attributes and the time of now.
 *
 * @throws {PartUnavailable}
 */
export async function startTimeSkippingTemporal(report: Report): Promise<TimeSkippingTemporal> {
  const unavailable = timeSkippingUnavailable();
  if (unavailable) throw unavailable;
  const say = reportFor('temporal', report);
  const jars = await testServerJars(say);
  const startedAt = Date.now();
  let failure = '';
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = await freePort();
    const server = startProcess('java', [
      ...[...JVM_OPTIONS, '-cp', `${jars}/*`],
      projectFile('test', 'lab', 'time-skipping-server.java'),
      `${port}`,
    ]);
    const connection = await connectionTo(server, `${LOOPBACK}:${port}`);
    if (connection !== undefined) {
      say(`ready on ${LOOPBACK}:${port} (time-skipping server ${TEST_SERVER_VERSION}, ${secondsSince(startedAt)})`);
      return timeSkippingTemporal(server, connection, `${LOOPBACK}:${port}`);
    }
    await server.end('SIGKILL');
    failure = lastLines(server.output());
    if (!/address already in use/i.test(server.output())) break;
  }
  throw new PartUnavailable(PART, `java does not start it (${failure})`, 'java -version, which must say 11 or later');
}

function timeSkippingTemporal(server: RunningProcess, connection: Connection, address: string): TimeSkippingTemporal {
  const { testService } = connection;
  if (!testService) throw new Error('the connection has no test service');
  return {
    address,
    async now() {
      return tsToMs((await testService.getCurrentTime({})).time);
    },
    async skip(milliseconds) {
      await testService.unlockTimeSkippingWithSleep({ duration: msNumberToTs(milliseconds) });
    },
    async waitForNobody() {
      // Whoever waits for something holds a lock on the time.
      await testService.unlockTimeSkipping({});
      return async () => void (await testService.lockTimeSkipping({}));
    },
    async stop() {
      await connection.close();
      await server.end('SIGTERM');
    },
  };
}

/** Resolves once the server can be worked with; with `undefined` when it ended or took too long. */
async function connectionTo(server: RunningProcess, address: string): Promise<Connection | undefined> {
  const options: InternalConnectionOptions = {
    address,
    [InternalConnectionOptionsSymbol]: { supportsTestService: true },
  };
  const connection = Connection.lazy(options);
  const deadline = Date.now() + READY_WITHIN_MS;
  const searchAttributes = Object.fromEntries(Object.values(SEARCH_ATTRIBUTES).map((name) => [name, KEYWORD]));
  while (server.isRunning() && Date.now() < deadline) {
    try {
      await connection.withDeadline(Date.now() + ANSWERS_WITHIN_MS, async () => {
        await connection.operatorService.addSearchAttributes({ namespace: 'default', searchAttributes });
      });
      return connection;
    } catch {
      await delay(50);
    }
  }
  await connection.close();
  return undefined;
}
