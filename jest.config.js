/**
 * Tests are TypeScript ES modules with `.ts` import extensions, run by Jest under Node 26.
 *
 * swc only strips the types; checking them is the work of `npm run typecheck`. The program itself is run by Node's own
 * type stripping, so `verbatimModuleSyntax` here makes a forgotten `import type` fail in a test as it would there.
 */
import { availableParallelism } from 'node:os';

const config = {
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        swcrc: false,
        jsc: {
          parser: { syntax: 'typescript' },
          target: 'es2024',
          transform: { verbatimModuleSyntax: true },
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  roots: ['<rootDir>/src', '<rootDir>/test'],
  watchman: false,
  // Two also on a machine with two cores (Jest's own choice would be one), and half of a larger one: the tests in
  // integration/ start processes of their own.
  maxWorkers: Math.max(2, Math.floor(availableParallelism() / 2)),
  // Jest doesn't free the ES modules of a finished test file; a worker that has grown is replaced.
  workerIdleMemoryLimit: '768MB',
  testTimeout: 20_000,
};

export default config;
