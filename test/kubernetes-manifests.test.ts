import { readFile, readdir } from 'node:fs/promises';
import { parseAllDocuments } from 'yaml';
import { projectFile } from './lab/project';

const FOLDER = ['deploy', 'kubernetes', 'applications'];

interface Manifest {
  kind: string;
  spec: {
    template: {
      spec: {
        securityContext?: { runAsNonRoot?: boolean; fsGroup?: number };
        volumes?: { secret?: { defaultMode?: number } }[];
      };
    };
  };
}

/** As kubectl reads it: YAML 1.1, where 0440 is octal. */
async function deploymentsIn(file: string): Promise<Manifest[]> {
  const text = await readFile(projectFile(...FOLDER, file), 'utf8');
  const documents = parseAllDocuments(text, { version: '1.1' }).map((document) => document.toJS() as Manifest);
  return documents.filter(({ kind }) => kind === 'Deployment');
}

test('an application that mounts its secret may read it without being root', async () => {
  const deployments = (await Promise.all((await readdir(projectFile(...FOLDER))).map(deploymentsIn))).flat();
  const pods = deployments.map(({ spec }) => spec.template.spec);
  const mounting = pods.filter(({ volumes = [] }) => volumes.some(({ secret }) => secret));
  expect(mounting).toHaveLength(2);
  for (const { securityContext, volumes = [] } of mounting) {
    expect(securityContext).toEqual({ runAsNonRoot: true, fsGroup: expect.any(Number) as number });
    // The group of the files is fsGroup's; nobody else may read them.
    expect(volumes.map(({ secret }) => secret?.defaultMode)).toEqual([0o440]);
  }
});
