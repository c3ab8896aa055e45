/**
 * Pages of a listing among a million names in a real ring of three on loopback, TLS between the nodes: first pages, pages of
 * common prefixes (a thousand groups of a thousand names), and a walk. The names are written into the nodes' stores while
 * these are stopped: a million puts would take minutes and show nothing more.
 */
import { hash } from 'node:crypto';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Ballot } from '../../src/domain/ballot.ts';
import { BODY_LIMITS } from '../../src/domain/body-limits.ts';
import type { BodyId, NodeId } from '../../src/domain/ids.ts';
import { LIST_PAGE_MAX } from '../../src/domain/limits.ts';
import type { LiveRecord } from '../../src/domain/stored-object.ts';
import { nodeDirectory } from '../../src/node/node-assembly.ts';
import { NODE_TUNING } from '../../src/node/node-tuning.ts';
import { objectKey } from '../../src/ring/hasher.ts';
import { NodeClock } from '../../src/runtime/node-clock.ts';
import { NodeDisk } from '../../src/runtime/node-disk.ts';
import { NodeRandom } from '../../src/runtime/node-random.ts';
import { ObjectStore } from '../../src/storage/object-store.ts';
import { residentMiB } from '../support/process-memory.ts';
import { RealRing, until, type RealNode } from '../support/real-ring.ts';
import { silentLog } from '../support/silent-log.ts';
import type { Report } from './report.ts';

const NAMES = Number(process.env['BENCH_NAMES'] ?? 1_000_000);
const GROUPS = 1000;
const KEY_BITS = 48;
const PAGES = 50;
const WALKED_PAGES = 100;
/** Writes of the fill that wait for the disk together. */
const BATCH = 20_000;

interface Page {
  readonly objects: readonly { readonly name: string }[];
  readonly commonPrefixes: readonly string[];
  readonly cursor?: string;
}

export async function runListBench(report: Report): Promise<void> {
  const ring = await RealRing.create({ flags: ['--key-bits', String(KEY_BITS)] });
  try {
    const founder = await ring.startNew([]);
    for (let i = 1; i < 3; i++) await ring.startNew([founder]);
    await untilStable(ring);
    const { epoch } = await founder.ring();
    for (const node of ring.nodes) await stopped(node);
    for (const node of ring.nodes) await fill(path.join(ring.directory, 'data'), node, epoch);
    const begin = performance.now();
    for (const node of ring.nodes) ring.start(node, ['--join', founder.name]);
    for (const node of ring.nodes) await ring.untilReady(node, 120_000);
    report({ what: `ring of three starts with ${NAMES} objects each, seconds`, perSecond: (performance.now() - begin) / 1000 });
    // After a start each node compares its registers with the others'.
    await until(async () => (await Promise.all(ring.nodes.map((node) => node.ring()))).every((r) => r.phase === 'stable' && r.moves.arcs === 0), 120_000, 'all nodes are caught up');

    await pages(report, ring, 'first page of 1,000 names', () => '');
    await pages(report, ring, 'page of 1,000 names behind a prefix', (i) => `&prefix=bench/${group(i * 17).slice(0, 2)}`);
    await pages(report, ring, '1,000 common prefixes of 1,000 names each', () => '&prefix=bench/&delimiter=/');
    await walk(report, founder);
    const resident = await Promise.all(ring.nodes.map((node) => residentMiB(node.process?.pid ?? 0)));
    report({ what: 'largest resident memory of a node, MiB', perSecond: Math.max(...resident) });
  } finally {
    await ring.stop();
  }
}

function group(i: number): string {
  return String(i % GROUPS).padStart(4, '0');
}

async function untilStable(ring: RealRing): Promise<void> {
  await until(async () => (await Promise.all(ring.nodes.map((node) => node.ring()))).every((r) => r.phase === 'stable' && r.members.length === 3), 30_000, 'the ring is stable');
}

async function stopped(node: RealNode): Promise<void> {
  node.kill('SIGTERM');
  await node.exited;
}

/** With three nodes each holds everything. */
async function fill(dataDirectory: string, node: RealNode, epoch: number): Promise<void> {
  const outcome = await ObjectStore.open(
    { disk: new NodeDisk(), clock: new NodeClock(), log: silentLog, random: new NodeRandom(), onFailure: (error) => { throw error; }, onDamage: () => undefined },
    {
      directory: nodeDirectory(dataDirectory, { host: 'localhost', port: node.port }), name: node.name, keyBits: KEY_BITS,
      ...NODE_TUNING.store, bodies: BODY_LIMITS, resolveBeforeSync: false, unlinkBeforeSync: false,
    },
  );
  if (outcome.kind !== 'opened') throw new Error(outcome.kind);
  const { store } = outcome;
  const sha256 = hash('sha256', '', 'hex');
  for (let i = 0; i < NAMES; i++) {
    const name = `bench/${group(i)}/${String(Math.floor(i / GROUPS)).padStart(6, '0')}.jpg`;
    const version: Ballot = { epoch, hlc: 1_700_000_000_000 * 1024 + i, nodeId: 'a'.repeat(32) as NodeId };
    const record: LiveRecord = {
      kind: 'object', version, lineageFloor: version, ops: [], contentType: 'image/jpeg', meta: [], createdMs: 1_700_000_000_000,
      body: { bodyId: i.toString(16).padStart(32, '0') as BodyId, size: 0, sha256, where: 'inline', chunkCrcs: [] },
    };
    const durable = store.accept(objectKey(name, KEY_BITS), name, version, record);
    if (i % BATCH === 0) await durable;
  }
  await store.flushed();
  await store.close();
}

async function pages(report: Report, ring: RealRing, what: string, query: (i: number) => string): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < PAGES; i++) {
    const node = ring.nodes[i % ring.nodes.length] as RealNode;
    const begin = performance.now();
    const { objects, commonPrefixes } = await page(node, query(i));
    times.push(performance.now() - begin);
    if (objects.length + commonPrefixes.length !== LIST_PAGE_MAX) throw new Error(`${what}: ${objects.length} names and ${commonPrefixes.length} prefixes`);
  }
  times.sort((a, b) => a - b);
  const p50Ms = times[PAGES >> 1] ?? NaN;
  report({ what: `listing: ${what}, pages a second`, perSecond: 1000 * PAGES / times.reduce((sum, ms) => sum + ms, 0), p50Ms, p99Ms: times.at(-1) ?? NaN });
}

async function walk(report: Report, node: RealNode): Promise<void> {
  const begin = performance.now();
  let names = 0;
  let cursor = '';
  for (let i = 0; i < WALKED_PAGES; i++) {
    const next = await page(node, cursor === '' ? '' : `&cursor=${cursor}`);
    names += next.objects.length;
    if (next.cursor === undefined) break;
    cursor = next.cursor;
  }
  report({ what: 'listing: names walked, a second', perSecond: names / ((performance.now() - begin) / 1000) });
}

async function page(node: RealNode, query: string): Promise<Page> {
  const response = await fetch(`${node.url}/v1/objects?limit=${LIST_PAGE_MAX}${query}`);
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return await response.json() as Page;
}
