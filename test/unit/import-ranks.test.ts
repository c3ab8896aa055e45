/**
 * Imports go strictly down the ranks.
 *
 * The list of what each folder may import *is* the architecture, so it stands here as a table and every import of `src`
 * is held against it. Siblings don't know each other: what two of them share moves down as a value. Outside packages and
 * node's own I/O each have one home, so that replacing one touches one folder and the simulator needs none of them.
 *
 * The table is checked too: a folder may be listed only with folders of a lower rank.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import ts from 'typescript';

const SRC = path.resolve(import.meta.dirname, '../../src');

const RANKS: readonly (readonly string[])[] = [
  ['domain'],
  ['encoding'],
  ['ring', 'register', 'liveness', 'protocol', 'ports'],
  ['layout'],
  ['membership', 'storage', 'peer'],
  ['transfer'],
  ['replication', 'repair'],
  ['node', 'canary'],
  ['gateway', 'cli', 'config', 'kubernetes', 'metrics', 'runtime'],
  ['main.ts', 'sim'],
];

const foldersUpTo = (rank: number): readonly string[] => RANKS.slice(0, rank + 1).flat();

const TRANSFER = ['domain', 'encoding', 'ports', 'protocol', 'ring', 'layout', 'register', 'storage', 'peer'];
const WORK = [...TRANSFER, 'transfer'];

const MAY_IMPORT: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    domain: [],
    encoding: ['domain'],
    ring: ['domain'],
    register: ['domain'],
    liveness: ['domain'],
    protocol: ['domain', 'encoding'],
    ports: ['domain'],
    layout: ['domain', 'ring'],
    membership: ['domain', 'ports', 'protocol', 'liveness', 'layout', 'ring'],
    storage: ['domain', 'encoding', 'ports'],
    peer: ['domain', 'encoding', 'ports', 'protocol'],
    transfer: TRANSFER,
    replication: WORK,
    repair: WORK,
    node: foldersUpTo(6),
    canary: ['domain', 'ports'],
    gateway: ['domain', 'ports', 'node'],
    kubernetes: ['domain', 'ports', 'node'],
    metrics: ['domain', 'ports'],
    runtime: ['domain', 'ports'],
    config: ['domain', 'ports'],
    cli: ['domain', 'ports', 'canary'],
    'main.ts': foldersUpTo(8),
    sim: foldersUpTo(7),
  }),
);

/** Where each outside package may be imported. A package that isn't listed may be imported nowhere. */
const PACKAGE_HOME: ReadonlyMap<string, string> = new Map([
  ['express', 'gateway'],
  ['busboy', 'gateway'],
  ['prom-client', 'metrics'],
  ['@kubernetes/client-node', 'kubernetes'],
]);

/** Node's modules that neither wait nor touch the operating system; eslint.config.js restricts the names taken from them. */
const PURE_MODULES: ReadonlySet<string> = new Set(
  ['assert', 'assert/strict', 'buffer', 'crypto', 'path', 'path/posix', 'string_decoder', 'url', 'util', 'util/types', 'zlib'].map(
    (name) => `node:${name}`,
  ),
);

/** What the gateway needs of node because express does; of node:http only types, which eslint.config.js checks. */
const GATEWAY_MODULES: ReadonlySet<string> = new Set(['node:http', 'node:stream', 'node:stream/promises']);

interface Import {
  /** Path below src, with forward slashes. */
  readonly file: string;
  readonly specifier: string;
}

/** The folder below src that a file counts to; for a file directly in src its own name. */
const folderOf = (file: string): string => file.split('/', 1)[0] ?? file;

function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
}

/** What is wrong with an import, or null. */
function violation({ file, specifier }: Import): string | null {
  const from = folderOf(file);
  const allowed = MAY_IMPORT.get(from);
  if (allowed === undefined) return `${file}: ${from} has no rank; give it one in this test and in ARCHITECTURE.md`;

  if (specifier.startsWith('.')) {
    const target = path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier));
    const to = folderOf(target);
    if (target.startsWith('../')) return `${file}: ${specifier} leaves src`;
    if (to === from || allowed.includes(to)) return null;
    return `${file}: ${from} may import ${allowed.join(', ') || 'nothing'}, not ${to} (${specifier})`;
  }
  if (isBuiltin(specifier)) {
    if (from === 'runtime' || PURE_MODULES.has(specifier)) return null;
    if (from === 'gateway' && GATEWAY_MODULES.has(specifier)) return null;
    if (file === 'sim/swarm-main.ts' && specifier === 'node:child_process') return null;
    // It keeps cases in files.
    if (file === 'sim/main.ts' && specifier === 'node:fs') return null;
    return `${file}: ${specifier} only in runtime`;
  }
  const home = PACKAGE_HOME.get(packageOf(specifier));
  if (home === from) return null;
  return `${file}: ${specifier} ${home === undefined ? 'is no runtime dependency' : `only in ${home}`}`;
}

/** Every module a source text names: import, import type, export from, import(). */
function importsOf(file: string, text: string): readonly Import[] {
  return ts.preProcessFile(text).importedFiles.map(({ fileName }) => ({ file, specifier: fileName }));
}

function sourceFiles(): readonly string[] {
  return readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll(path.sep, '/'))
    .filter((file) => file.endsWith('.ts'))
    .sort();
}

describe('import ranks', () => {
  test('every import in src goes strictly down the ranks', () => {
    const files = sourceFiles();
    expect(files).not.toEqual([]);
    const violations = files
      .flatMap((file) => importsOf(file, readFileSync(path.join(SRC, file), 'utf8')))
      .map(violation)
      .filter((found) => found !== null);
    expect(violations).toEqual([]);
  });

  test('every source file is in a folder that has a rank', () => {
    expect(sourceFiles().map(folderOf).filter((folder) => !MAY_IMPORT.has(folder))).toEqual([]);
  });

  test('the table itself lists only folders of a lower rank, and every folder', () => {
    const rankOf = new Map(RANKS.flatMap((folders, rank) => folders.map((folder) => [folder, rank] as const)));
    const upward = [...MAY_IMPORT].flatMap(([from, allowed]) =>
      allowed.filter((to) => (rankOf.get(to) ?? Infinity) >= (rankOf.get(from) ?? -1)).map((to) => `${from} -> ${to}`),
    );
    expect(upward).toEqual([]);
    expect([...MAY_IMPORT.keys()].sort()).toEqual([...rankOf.keys()].sort());
  });
});

describe('the checker of import ranks', () => {
  test.each([
    ['upward', 'ring/token-ring.ts', '../membership/member-table.ts'],
    ['between siblings', 'replication/coordinator.ts', '../repair/hint.ts'],
    ['between siblings at the edge', 'cli/command-line.ts', '../runtime/process.ts'],
    ['down, but not listed', 'storage/segment.ts', '../protocol/frame.ts'],
    ['from a nested folder', 'gateway/routes/put.ts', '../../replication/coordinator.ts'],
    ['of the simulator by the program', 'main.ts', './sim/cluster.ts'],
    ['of an edge by the simulator', 'sim/cluster.ts', '../runtime/node-clock.ts'],
    ['of main.ts', 'node/node.ts', '../main.ts'],
    ['of a file outside src', 'node/node.ts', '../../test/unit/table.ts'],
    ['in a folder without a rank', 'util/text.ts', '../domain/ids.ts'],
    ['of express outside the gateway', 'node/status.ts', 'express'],
    ['of prom-client outside metrics', 'gateway/admin-routes.ts', 'prom-client'],
    ['of the Kubernetes client outside kubernetes', 'runtime/discovery.ts', '@kubernetes/client-node'],
    ['of a package that is no runtime dependency', 'domain/ids.ts', 'lodash/get'],
    ["of node's I/O outside runtime", 'storage/segment.ts', 'node:fs/promises'],
    ["of node's I/O without the prefix", 'main.ts', 'net'],
  ])('refuses an import %s', (_what, file, specifier) => {
    expect(violation({ file, specifier })).toContain(`${file}: `);
  });

  test.each([
    ['within one folder', 'ring/token-ring.ts', './hasher.ts'],
    ['between nested folders of one folder', 'gateway/routes/put.ts', '../problem.ts'],
    ['down the ranks', 'membership/gossip.ts', '../liveness/ping-detector.ts'],
    ['of an edge by the program', 'main.ts', './gateway/server.ts'],
    ['of express in the gateway', 'gateway/server.ts', 'express'],
    ["of node's I/O in runtime", 'runtime/node-disk.ts', 'node:fs/promises'],
    ['of a pure module of node', 'ring/hasher.ts', 'node:crypto'],
  ])('accepts an import %s', (_what, file, specifier) => {
    expect(violation({ file, specifier })).toBeNull();
  });

  test('finds every way to name a module', () => {
    const text = `
      import { a } from './a.ts';
      import type { B } from './b.ts';
      export { c } from './c.ts';
      export type { D } from './d.ts';
      export * from './e.ts';
      import './f.ts';
      const g = await import('./g.ts');
    `;
    const specifiers = importsOf('node/node.ts', text).map(({ specifier }) => specifier);
    expect(specifiers.sort()).toEqual(['./a.ts', './b.ts', './c.ts', './d.ts', './e.ts', './f.ts', './g.ts']);
  });
});
