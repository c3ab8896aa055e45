/**
 * Correctness only; layout of the text is left to the writer.
 *
 * Beside the usual rules this file bans what would make a run of the simulator differ from the next run with the same
 * seed: outside `src/runtime/` no code reads a clock, draws a random number, waits for real work or touches the operating
 * system other than through a port. Each message names the replacement. Tests are free of these bans.
 *
 * Which folder may import which is checked by `test/unit/import-ranks.test.ts`.
 */
import { builtinModules } from 'node:module';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

// --- Determinism: globals ------------------------------------------------------------------------------------------

const USE_CLOCK = 'Take a Clock (src/ports): after() or sleep().';
const USE_NOW = 'Take a Clock (src/ports): monotonicNow() for time-outs, wallNow() for version stamps.';
const USE_RANDOM = 'Take a Random (src/ports): one forked stream for each component.';
const USE_OPTIONS = 'Take it as a value in the options; src/config reads settings, src/main.ts hands them on.';
const USE_LOG = 'Take a Log (src/ports).';
const USE_PORT = 'Take a port (ByteNetwork, Disk, PeerDiscovery, ... in src/ports); src/runtime opens it on Node.';
const USE_SYNC = 'Real asynchronous work breaks the order of a seeded run. Use the synchronous call of node:crypto or node:zlib.';
const USE_CALLBACK = 'Take a typed callback in Deps, or return effects.';
const USE_OWNER = 'Collection is not deterministic. Let an owner release it: stop(), close().';

const bannedGlobals = {
  setTimeout: USE_CLOCK,
  setInterval: USE_CLOCK,
  setImmediate: USE_CLOCK,
  clearTimeout: 'Cancel the Timer that Clock.after() returned.',
  clearInterval: 'Cancel the Timer that Clock.after() returned.',
  clearImmediate: 'Cancel the Timer that Clock.after() returned.',
  queueMicrotask: 'Call it now, or use Clock.after(0, fn).',
  scheduler: USE_CLOCK,
  performance: USE_NOW,
  crypto: 'Random: take a Random (src/ports). Hashes: import the synchronous functions from node:crypto.',
  process: USE_OPTIONS,
  console: USE_LOG,
  fetch: USE_PORT,
  WebSocket: USE_PORT,
  EventSource: USE_PORT,
  BroadcastChannel: USE_PORT,
  MessageChannel: USE_PORT,
  Worker: USE_PORT,
  navigator: USE_OPTIONS,
  localStorage: USE_PORT,
  sessionStorage: USE_PORT,
  CompressionStream: USE_SYNC,
  DecompressionStream: USE_SYNC,
  WeakRef: USE_OWNER,
  FinalizationRegistry: USE_OWNER,
  require: 'Use a static import.',
};

function restrictedGlobals(...allowed) {
  const globals = Object.entries(bannedGlobals)
    .filter(([name]) => !allowed.includes(name))
    .map(([name, message]) => ({ name, message }));
  return ['error', { globals, checkGlobalObject: true }];
}

const restrictedProperties = [
  'error',
  { object: 'Date', property: 'now', message: USE_NOW },
  { object: 'Temporal', property: 'Now', message: USE_NOW },
  { object: 'Math', property: 'random', message: USE_RANDOM },
  { object: 'AbortSignal', property: 'timeout', message: 'Abort an AbortController from Clock.after().' },
  { object: 'Atomics', property: 'wait', message: USE_CLOCK },
  { object: 'Atomics', property: 'waitAsync', message: USE_CLOCK },
];

// --- Syntax --------------------------------------------------------------------------------------------------------

const languageBans = [
  { selector: 'ExportDefaultDeclaration', message: 'Export it by name.' },
  { selector: 'ExportSpecifier[exported.name="default"]', message: 'Export it by name.' },
  { selector: 'TSEnumDeclaration', message: 'Use a const object and the union of its values.' },
];

const determinismSyntaxBans = [
  { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: USE_NOW },
  { selector: 'CallExpression[callee.name="Date"]', message: USE_NOW },
  { selector: 'ImportExpression[source.type!="Literal"]', message: 'Name the module in a literal, so that the import ranks can be checked.' },
];

// --- Determinism: modules ------------------------------------------------------------------------------------------

/** Node's modules that neither wait nor touch the operating system; also in test/unit/import-ranks.test.ts. */
const pureModules = ['assert', 'assert/strict', 'buffer', 'crypto', 'path', 'path/posix', 'string_decoder', 'url', 'util', 'util/types', 'zlib'];

const pureCryptoNames = [
  'createHash', 'createHmac', 'createSecretKey', 'hash', 'hkdfSync', 'pbkdf2Sync', 'scryptSync', 'timingSafeEqual',
  'getHashes', 'Hash', 'Hmac', 'KeyObject', 'BinaryLike', 'BinaryToTextEncoding',
];

const pureZlibNames = [
  'brotliCompressSync', 'brotliDecompressSync', 'constants', 'crc32', 'deflateRawSync', 'deflateSync', 'gunzipSync',
  'gzipSync', 'inflateRawSync', 'inflateSync', 'unzipSync', 'zstdCompressSync', 'zstdDecompressSync',
];

const moduleMessages = {
  timers: USE_CLOCK,
  'timers/promises': USE_CLOCK,
  perf_hooks: USE_NOW,
  events: USE_CALLBACK,
  process: USE_OPTIONS,
  os: USE_OPTIONS,
  console: USE_LOG,
  stream: 'Only in src/gateway and src/runtime. Elsewhere take an AsyncIterable of bytes.',
  http: 'Only in src/runtime; its types also in src/gateway.',
};

/** `allowed`: names of modules free to import; `allowedTypes`: those of which types are. */
function restrictedImports({ allowed = [], allowedTypes = [] } = {}) {
  const paths = [];
  for (const listed of builtinModules) {
    const name = listed.replace(/^node:/, '');
    if (pureModules.includes(name) || allowed.includes(name)) continue;
    const message = moduleMessages[name] ?? USE_PORT;
    const allowTypeImports = allowedTypes.includes(name);
    paths.push({ name: `node:${name}`, message, allowTypeImports }, { name, message: `${message} (And write node:${name}.)` });
  }
  for (const name of ['crypto', 'node:crypto']) {
    paths.push({ name, allowImportNames: pureCryptoNames, message: `Random: ${USE_RANDOM} Else: ${USE_SYNC}` });
  }
  for (const name of ['zlib', 'node:zlib']) paths.push({ name, allowImportNames: pureZlibNames, message: USE_SYNC });
  paths.push({ name: 'node:util', importNames: ['promisify', 'default'], message: USE_PORT });
  return ['error', { paths }];
}

const gatewayModules = ['stream', 'stream/promises'];

// --- The configuration ---------------------------------------------------------------------------------------------

export default defineConfig(
  { ignores: ['dist/', 'data/', 'coverage/', 'loadtest/reports/', 'node_modules/', '**/*.min.js'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['src/**/*.ts', 'test/**/*.ts', 'charts/**/*.ts', 'loadtest/**/*.ts'],
    extends: [tseslint.configs.base],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      'no-restricted-syntax': ['error', ...languageBans],

      // Promises: nothing runs that nobody waits for.
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/prefer-promise-reject-errors': 'error',
      'no-async-promise-executor': 'error',
      'no-promise-executor-return': 'error',

      // Types: no hole in what the compiler knows.
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unsafe-argument': 'error',
      '@typescript-eslint/no-unsafe-assignment': 'error',
      '@typescript-eslint/no-unsafe-call': 'error',
      '@typescript-eslint/no-unsafe-member-access': 'error',
      '@typescript-eslint/no-unsafe-return': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/ban-ts-comment': 'error',
      '@typescript-eslint/no-unsafe-function-type': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' }],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/unbound-method': 'error',
      '@typescript-eslint/no-for-in-array': 'error',
      '@typescript-eslint/no-implied-eval': 'error',
      '@typescript-eslint/no-base-to-string': 'error',
      '@typescript-eslint/restrict-plus-operands': 'error',
      '@typescript-eslint/require-array-sort-compare': ['error', { ignoreStringArrays: true }],

      // The language's own traps.
      'array-callback-return': 'error',
      eqeqeq: 'error',
      'no-cond-assign': 'error',
      'no-constant-binary-expression': 'error',
      'no-constant-condition': ['error', { checkLoops: 'allExceptWhileTrue' }],
      'no-dupe-else-if': 'error',
      'no-duplicate-case': 'error',
      'no-empty': 'error',
      'no-fallthrough': 'error',
      'no-loss-of-precision': 'error',
      'no-self-assign': 'error',
      'no-self-compare': 'error',
      'no-sparse-arrays': 'error',
      'no-unreachable-loop': 'error',
      'no-unsafe-finally': 'error',
      'no-unsafe-optional-chaining': 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      'use-isnan': 'error',
      'valid-typeof': 'error',
    },
  },

  // Scripts of k6 have other globals, so another project.
  { files: ['loadtest/k6/**/*.ts', 'loadtest/scenarios/**/*.ts'], languageOptions: { parserOptions: { project: './loadtest/tsconfig.json' } } },

  // Everything but the adapters of the doors is deterministic.
  {
    files: ['src/**/*.ts'],
    ignores: ['src/runtime/**'],
    rules: {
      'no-restricted-globals': restrictedGlobals(),
      'no-restricted-properties': restrictedProperties,
      'no-restricted-syntax': ['error', ...languageBans, ...determinismSyntaxBans],
      '@typescript-eslint/no-restricted-imports': restrictedImports(),
    },
  },
  // The gateway speaks express, whose requests and answers are node's own streams.
  {
    files: ['src/gateway/**/*.ts'],
    rules: { '@typescript-eslint/no-restricted-imports': restrictedImports({ allowed: gatewayModules, allowedTypes: ['http'] }) },
  },
  // The composition roots meet the process.
  { files: ['src/main.ts'], rules: { 'no-restricted-globals': restrictedGlobals('process') } },
  // setImmediate: between two events the simulator lets all microtasks run out.
  { files: ['src/sim/**/*.ts'], rules: { 'no-restricted-globals': restrictedGlobals('setImmediate') } },
  {
    files: ['src/sim/main.ts', 'src/sim/swarm-main.ts', 'src/sim/explore-main.ts'],
    rules: { 'no-restricted-globals': restrictedGlobals('setImmediate', 'process', 'console') },
  },
  // A swarm runs in processes of its own.
  { files: ['src/sim/swarm-main.ts'], rules: { '@typescript-eslint/no-restricted-imports': restrictedImports({ allowed: ['child_process'] }) } },
  { files: ['src/sim/main.ts'], rules: { '@typescript-eslint/no-restricted-imports': restrictedImports({ allowed: ['fs'] }) } },

  {
    files: ['test/**/*.ts'],
    rules: {
      // A test may look at some cases and leave the others to `default`.
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/unbound-method': 'off',
      'no-promise-executor-return': 'off',
    },
  },
);
