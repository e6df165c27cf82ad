/** The tests share one lab, started by globalSetup; each file uses an environment and a task queue of its own, so that they run side by side. */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } }] },
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  globalSetup: '<rootDir>/test/lab/jest-setup.ts',
  globalTeardown: '<rootDir>/test/lab/jest-teardown.ts',
  testTimeout: 120_000,
  // The tests mostly wait; one worker for each core, also where there are only two.
  maxWorkers: '100%',
};
