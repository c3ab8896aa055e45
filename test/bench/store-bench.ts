/**
 * The local store on the real disk: 4 KiB appends a second, every one durable when it counts, next to one plain file per
 * writer with a write and an fdatasync for each; then look-ups in the key index and its memory; large bodies next to a plain
 * file of the same size; and names for listings.
 */
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { BODY_LIMITS } from '../../src/domain/body-limits.ts';
import { ZERO_BALLOT, type Ballot } from '../../src/domain/ballot.ts';
import type { BodyId, NodeId } from '../../src/domain/ids.ts';
import type { ObjectKey } from '../../src/domain/ring-position.ts';
import type { LiveRecord } from '../../src/domain/stored-object.ts';
import { LIST_PAGE_MAX } from '../../src/domain/limits.ts';
import { NodeClock } from '../../src/runtime/node-clock.ts';
import { NodeDisk } from '../../src/runtime/node-disk.ts';
import { NodeRandom } from '../../src/runtime/node-random.ts';
import { KeyIndex, NOTHING_ACCEPTED } from '../../src/storage/key-index.ts';
import { NameIndex } from '../../src/storage/name-index.ts';
import { NODE_TUNING } from '../../src/node/node-tuning.ts';
import { ObjectStore } from '../../src/storage/object-store.ts';
import { silentLog } from '../support/silent-log.ts';
import type { Report } from './report.ts';

const SIZE = 4096;
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 4) / 2;
const WRITERS = [1, 16, 64];
const INDEX_ENTRIES = 1_000_000;
const LOOK_UPS = 1_000_000;
const BODY_FILE_BYTES = 64 * 1024 * 1024;
const READ_BYTES = 1024 * 1024;
const NAMES_ADDED = 200_000;
const NAMED_KEY = 'ab'.repeat(20) as ObjectKey;

const BODY = randomBytes(SIZE);
const BALLOT: Ballot = { epoch: 1, hlc: 1_700_000_000_000 * 1024, nodeId: 'a'.repeat(32) as NodeId };

const clock = new NodeClock();
const random = new NodeRandom();

export async function runStoreBench(report: Report): Promise<void> {
  const directory = await fs.mkdtemp(path.join(process.env['BENCH_DIRECTORY'] ?? tmpdir(), 'dht-store-bench-'));
  try {
    for (const writers of WRITERS) {
      const plain = await plainAppends(path.join(directory, `plain-${writers}`), writers);
      report({ what: 'plain file a writer, write + fdatasync of 4 KiB', concurrency: writers, perSecond: plain });
      for (const kind of ['stage', 'promise, then accept'] as const) {
        const perSecond = await storeAppends(path.join(directory, `store-${kind.length}-${writers}`), writers, kind);
        report({ what: `store: ${kind}, 4 KiB`, concurrency: writers, perSecond, ratioToRaw: perSecond / plain });
      }
    }
    await benchRecovery(path.join(directory, 'recovery'), report);
    await benchBodies(directory, report);
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
  benchNames(report);
  benchIndex(report);
}

/** Runs `writers` loops side by side for a while; steps a second. */
async function ratePerSecond(writers: number, step: (writer: number, count: number) => Promise<unknown>): Promise<number> {
  const start = performance.now();
  const end = start + SECONDS * 1000;
  let steps = 0;
  await Promise.all(Array.from({ length: writers }, async (_, writer) => {
    for (; performance.now() < end; steps++) await step(writer, steps);
  }));
  return steps / ((performance.now() - start) / 1000);
}

async function plainAppends(directory: string, writers: number): Promise<number> {
  await fs.mkdir(directory);
  const files = await Promise.all(Array.from({ length: writers }, (_, i) => fs.open(path.join(directory, String(i)), 'w')));
  const perSecond = await ratePerSecond(writers, async (writer) => {
    await files[writer]?.write(BODY);
    await files[writer]?.datasync();
  });
  await Promise.all(files.map((file) => file.close()));
  return perSecond;
}

async function openStore(directory: string): Promise<ObjectStore> {
  const outcome = await ObjectStore.open(
    { disk: new NodeDisk(), clock, log: silentLog, random, onFailure: (error) => { throw error; }, onDamage: (detail) => { throw new Error(detail); } },
    {
      directory, name: '127.0.0.1:7001', keyBits: 48, segmentBytes: 64 * 1024 * 1024, recordCacheBytes: 16 * 1024 * 1024,
      bodyCacheBytes: 16 * 1024 * 1024, stagedBodiesMax: 100_000, upkeep: NODE_TUNING.store.upkeep, space: NODE_TUNING.store.space, bodies: BODY_LIMITS, resolveBeforeSync: false,
      unlinkBeforeSync: false,
    },
  );
  if (outcome.kind !== 'opened') throw new Error(`not opened: ${outcome.kind}`);
  return outcome.store;
}

const keyOf = (n: number): ObjectKey => createHash('sha256').update(String(n)).digest('hex').slice(0, 40) as ObjectKey;
const bodyIdOf = (n: number): BodyId => n.toString(16).padStart(32, '0') as BodyId;

function recordOf(bodyId: BodyId): LiveRecord {
  return {
    kind: 'object', version: BALLOT, lineageFloor: ZERO_BALLOT, ops: [],
    body: { bodyId, size: SIZE, sha256: '0'.repeat(64), where: 'inline', chunkCrcs: [] },
    contentType: 'application/octet-stream', meta: [], createdMs: 1_700_000_000_000,
  };
}

async function storeAppends(directory: string, writers: number, kind: 'stage' | 'promise, then accept'): Promise<number> {
  const store = await openStore(directory);
  const keys = Array.from({ length: 10_000 }, (_, n) => keyOf(n));
  let count = 0;
  const perSecond = await ratePerSecond(writers, async () => {
    const n = count++;
    const key = keys[n % keys.length] ?? keyOf(n);
    const bodyId = bodyIdOf(n);
    if (kind === 'stage') return store.stage(key, bodyId, BODY);
    await store.promise(key, 'bench', BALLOT, { bodyId, bytes: BODY });
    await store.accept(key, 'bench', BALLOT, recordOf(bodyId));
    return undefined;
  });
  await store.close();
  return perSecond;
}

async function benchRecovery(directory: string, report: Report): Promise<void> {
  const registers = 100_000;
  const store = await openStore(directory);
  for (let n = 0; n < registers; n++) {
    void store.stage(keyOf(n), bodyIdOf(n), BODY.subarray(0, 256));
    const done = store.accept(keyOf(n), `bench/${n}`, BALLOT, recordOf(bodyIdOf(n)));
    if (n % 1000 === 999) await done;
  }
  await store.close();
  const start = performance.now();
  const recovered = await openStore(directory);
  report({ what: 'recovery: registers a second (256 B bodies)', perSecond: registers / ((performance.now() - start) / 1000) });
  const pages = rateOf(200, (n) => { recovered.scanNames('bench/', { name: `bench/${10 + (n % 80)}`, isInclusive: true }, LIST_PAGE_MAX); });
  report({ what: `listing: pages of ${LIST_PAGE_MAX} names a second`, perSecond: pages });
  await recovered.close();
}

/** MB/s of large bodies, durable when they count, one after the other; reads come from the page cache. */
async function benchBodies(directory: string, report: Report): Promise<void> {
  const chunk = randomBytes(BODY_LIMITS.chunkBytes);
  const chunks = BODY_FILE_BYTES / chunk.length;
  const sha256 = createHash('sha256');
  for (let n = 0; n < chunks; n++) sha256.update(chunk);
  const expected = { size: BODY_FILE_BYTES, sha256: sha256.digest('hex') };
  const megabytes = BODY_FILE_BYTES / 1e6;
  const plain = megabytes * await ratePerSecond(1, async () => {
    const file = await fs.open(path.join(directory, 'plain'), 'w');
    for (let n = 0; n < chunks; n++) await file.write(chunk);
    await file.datasync();
    await file.close();
  });
  report({ what: `plain file of ${megabytes.toFixed(0)} MB, written and synced: MB a second`, perSecond: plain });
  const store = await openStore(path.join(directory, 'bodies'));
  const key = keyOf(1);
  let count = 0;
  const written = megabytes * await ratePerSecond(1, async () => {
    const bodyId = bodyIdOf(++count);
    const writer = await store.openBody(key, bodyId);
    if (typeof writer === 'string') throw new Error(writer);
    for (let n = 0; n < chunks; n++) await writer.append(chunk);
    if ((await writer.finish(expected)) !== 'held') throw new Error('not held');
    await store.accept(key, 'bench', BALLOT, { ...recordOf(bodyId), body: { bodyId, ...expected, where: 'file', chunkCrcs: [] } });
  });
  report({ what: 'store: the same as a body, accepted: MB a second', perSecond: written, ratioToRaw: written / plain });
  const bodyId = bodyIdOf(count);
  const read = megabytes * await ratePerSecond(1, async () => {
    for (let offset = 0; offset < BODY_FILE_BYTES; offset += READ_BYTES) {
      if ((await store.readBody(key, bodyId, offset, READ_BYTES)) === null) throw new Error('not read');
    }
  });
  report({ what: 'store: the body read and checked, 1 MiB at a time: MB a second', perSecond: read });
  await store.close();
}

function benchNames(report: Report): void {
  const nameOf = (n: number): string => `photos/2026/${((n * 7919) % INDEX_ENTRIES).toString().padStart(7, '0')}/original.x`;
  const names = new NameIndex(() => true);
  for (let n = 0; n < INDEX_ENTRIES; n++) names.add(nameOf(n), NAMED_KEY);
  const start = performance.now();
  names.seal();
  report({ what: `names: ${INDEX_ENTRIES} put in order, a second`, perSecond: INDEX_ENTRIES / ((performance.now() - start) / 1000) });
  report({ what: `names: added one by one to ${INDEX_ENTRIES}, a second`, perSecond: rateOf(NAMES_ADDED, (n) => { names.add(`${nameOf(n * 13)}+`, NAMED_KEY); }) });
  report({ what: 'names of 30 bytes: bytes of blocks, a name', perSecond: names.allocatedBytes / (INDEX_ENTRIES + NAMES_ADDED) });
  report({ what: `names: pages of ${LIST_PAGE_MAX} a second`, perSecond: rateOf(1000, (n) => {
    let left = LIST_PAGE_MAX;
    names.walk('photos/', { name: nameOf(n * 997), isInclusive: true }, () => (--left === 0 ? 'stop' : 'go-on'));
  }) });
}

function benchIndex(report: Report): void {
  const keys = Array.from({ length: INDEX_ENTRIES }, (_, n) => keyOf(n));
  globalThis.gc?.();
  const before = process.memoryUsage();
  const index = new KeyIndex();
  const filled = rateOf(INDEX_ENTRIES, (n) => {
    const key = keys[n];
    if (key !== undefined) index.setAccepted(key, { ...NOTHING_ACCEPTED, accepted: BALLOT, kind: 'object', recordAt: n, bodyId: bodyIdOf(n), bodyAt: n });
  });
  globalThis.gc?.();
  const after = process.memoryUsage();
  report({ what: `index of ${INDEX_ENTRIES} keys: insertions a second`, perSecond: filled });
  report({ what: 'index: bytes of entries and room, a key', perSecond: index.allocatedBytes / INDEX_ENTRIES });
  if (globalThis.gc !== undefined) {
    const total = after.external + after.heapUsed - before.external - before.heapUsed;
    report({ what: 'index: bytes in all as the runtime counts them, a key', perSecond: total / INDEX_ENTRIES });
  }
  let found = 0;
  const lookUps = rateOf(LOOK_UPS, (n) => {
    const key = keys[(n * 7919) % INDEX_ENTRIES];
    if (key !== undefined && index.find(key) !== null) found++;
  });
  if (found !== LOOK_UPS) throw new Error('the index lost keys');
  report({ what: `index of ${INDEX_ENTRIES} keys: look-ups a second`, perSecond: lookUps });
}

function rateOf(count: number, step: (n: number) => void): number {
  const start = performance.now();
  for (let n = 0; n < count; n++) step(n);
  return count / ((performance.now() - start) / 1000);
}
