/** The tests share one lab, started by globalSetup; each file uses an environment and a task queue of its own, so that they run side by side. */
const project = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } }] },
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  globalTeardown: '<rootDir>/test/lab/jest-teardown.ts',
};

module.exports = {
  projects: [
    {
      ...project,
      displayName: 'keyturn',
      testMatch: ['<rootDir>/test/*.test.ts'],
      globalSetup: '<rootDir>/test/lab/jest-setup.ts',
    },
    {
      ...project,
      // Each of these files starts a cluster; a run without them never builds one.
      displayName: 'kubernetes',
      testMatch: ['<rootDir>/test/kubernetes/*.test.ts'],
      globalSetup: '<rootDir>/test/lab/kubernetes/jest-setup.ts',
    },
  ],
  testTimeout: 120_000,
  // The tests mostly wait; one worker for each core, also where there are only two.
  maxWorkers: '100%',
};
