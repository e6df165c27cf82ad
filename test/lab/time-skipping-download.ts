import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inLanes } from '../../src/rotation/in-lanes';
import { cacheEntry } from './cache';
import { onPath } from './executables';
import { PartUnavailable, secondsSince, type Report } from './part';
import { lastLines, runToEnd } from './processes';
import { TEST_SERVER_JARS, TEST_SERVER_VERSION } from './time-skipping-jars';

const COPY_DEPENDENCIES = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';
const MAVEN_CENTRAL = 'https://repo1.maven.org/maven2';
const GET_WITH_MAVEN = `mvn dependency:get -Dartifact=io.temporal:temporal-test-server:${TEST_SERVER_VERSION}`;
const INSTALL_MAVEN = 'install Maven, which goes by the mirrors in ~/.m2/settings.xml';
const MAVEN_ENDS_MS = 10 * 60_000;
const JAR_ENDS_MS = 2 * 60_000;

/**
 * The folder with the jars of Temporal's time-skipping test server: cached, else copied by Maven, which knows this machine's mirrors,
 * else, where there is no Maven, downloaded from Maven Central. Either way each is compared with its checksum.
 *
 * @throws {PartUnavailable}
 */
export function testServerJars(report: Report): Promise<string> {
  return cacheEntry(
    `temporal-test-server-${TEST_SERVER_VERSION}`,
    async (folder) => {
      const startedAt = Date.now();
      const mvn = onPath('mvn');
      if (mvn === undefined) await download(folder, report);
      else await copyWithMaven(mvn, folder, report);
      await checkJars(folder);
      report(`fetched the test server ${TEST_SERVER_VERSION} in ${secondsSince(startedAt)}`);
    },
    () => report('waiting for another lab that is fetching the test server'),
  );
}

async function copyWithMaven(mvn: string, folder: string, report: Report): Promise<void> {
  report(`fetching the test server ${TEST_SERVER_VERSION} with Maven (38 MB, once)`);
  const pom = join(folder, 'pom.xml');
  await writeFile(pom, POM);
  const copied = await runToEnd(
    mvn,
    ['-B', '-q', '-f', pom, COPY_DEPENDENCIES, '-DincludeScope=runtime', `-DoutputDirectory=${folder}`],
    MAVEN_ENDS_MS,
  );
  await rm(pom);
  if (!copied.succeeded) throw unavailable(`Maven cannot fetch it (${lastLines(copied.output, 1)})`);
}

const POM = `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>keyturn</groupId>
  <artifactId>time-skipping</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.temporal</groupId>
      <artifactId>temporal-test-server</artifactId>
      <version>${TEST_SERVER_VERSION}</version>
    </dependency>
  </dependencies>
</project>
`;

async function download(folder: string, report: Report): Promise<void> {
  report(`no mvn on PATH: downloading the test server ${TEST_SERVER_VERSION} from Maven Central (38 MB, once)`);
  await mkdir(folder, { recursive: true });
  await inLanes(Object.keys(TEST_SERVER_JARS), 4, async (coordinates) => {
    const url = urlOf(coordinates);
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(JAR_ENDS_MS) });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      await writeFile(join(folder, jarOf(coordinates)), Buffer.from(await answer.arrayBuffer()));
    } catch (error) {
      const { message, cause } = error as Error;
      const why = (cause as Error | undefined)?.message ?? message;
      throw unavailable(`there is no mvn on PATH, and ${url} cannot be read (${why})`, INSTALL_MAVEN);
    }
  });
}

async function checkJars(folder: string): Promise<void> {
  for (const [coordinates, expected] of Object.entries(TEST_SERVER_JARS)) {
    const jar = await readFile(join(folder, jarOf(coordinates))).catch(() => undefined);
    if (jar === undefined) throw unavailable(`${jarOf(coordinates)} did not come with it`);
    const found = createHash('sha256').update(jar).digest('hex');
    if (found !== expected)
      throw unavailable(`${jarOf(coordinates)} is not the expected one (its SHA-256 is ${found})`);
  }
}

function urlOf(coordinates: string): string {
  const [group = '', artifact, version] = coordinates.split(':');
  return `${MAVEN_CENTRAL}/${group.replaceAll('.', '/')}/${artifact}/${version}/${jarOf(coordinates)}`;
}

function jarOf(coordinates: string): string {
  const [, artifact, version] = coordinates.split(':');
  return `${artifact}-${version}.jar`;
}

function unavailable(reason: string, command = GET_WITH_MAVEN): PartUnavailable {
  return new PartUnavailable('Time-skipping Temporal', reason, command);
}
