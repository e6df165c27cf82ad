/** The arrows of docs/architecture.md, held in CI: catalog → client → workflow → activities → outside. */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'rotation-is-pure',
      comment: 'The shared vocabulary has no I/O and no dependency, not even a Node built-in.',
      severity: 'error',
      from: { path: '^src/rotation/' },
      to: { pathNot: '^src/rotation/' },
    },
    {
      name: 'workflows-see-only-vocabulary',
      comment:
        'Workflow code imports rotation/, the workflow SDK and the types of activities; nothing else may enter the sandbox.',
      severity: 'error',
      from: { path: '^src/workflows/' },
      to: {
        pathNot: ['^src/(rotation|workflows)/', 'node_modules/@temporalio/(workflow|common)/'],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'workflows-know-activities-by-type',
      severity: 'error',
      from: { path: '^src/workflows/' },
      to: { path: '^src/(catalog|client|worker)', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'activities-do-not-reach-back',
      severity: 'error',
      from: { path: '^src/activities/' },
      to: { path: '^src/(workflows|client|worker)' },
    },
    {
      name: 'catalog-stands-alone',
      severity: 'error',
      from: { path: '^src/catalog/' },
      to: { path: '^src/(workflows|activities|client|worker)' },
    },
    {
      name: 'src-never-imports-test',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^test/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default'] },
  },
};
