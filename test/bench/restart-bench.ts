/**
 * A store of a million small objects on the real disk: how long a start takes by the log alone and by a checkpoint, what memory
 * an object takes, how long a checkpoint holds up the event loop; then overwrites of all keys of a small store, and how much
 * longer than its live data the log is at the end.
 */
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { BODY_LIMITS } from '../../src/domain/body-limits.ts';
import { ZERO_BALLOT, type Ballot } from '../../src/domain/ballot.ts';
import type { BodyId, NodeId } from '../../src/domain/ids.ts';
import type { ObjectKey } from '../../src/domain/ring-position.ts';
import type { LiveRecord } from '../../src/domain/stored-object.ts';
import { NodeClock } from '../../src/runtime/node-clock.ts';
import { NodeDisk } from '../../src/runtime/node-disk.ts';
import { NodeRandom } from '../../src/runtime/node-random.ts';
import { NODE_TUNING } from '../../src/node/node-tuning.ts';
import type { LogUpkeepTuning } from '../../src/storage/log-upkeep.ts';
import { ObjectStore } from '../../src/storage/object-store.ts';
import { silentLog } from '../support/silent-log.ts';
import type { Report } from './report.ts';

const OBJECTS = Number(process.env['BENCH_OBJECTS'] ?? 1_000_000);
const SIZE = 256;
const BODY = randomBytes(SIZE);
const OVERWRITTEN_KEYS = 20_000;
const OVERWRITTEN_SIZE = 1024;
const WRITES_AT_ONCE = 500;
/** About what a ring of three takes at its best, all of which each node of it stores. */
const RING_WRITES_PER_SECOND = 5_000;
const OVERWRITES = 20;
/** Small beside what is written, as the real sizes are small beside what is written in a day. */
const SMALL = { segmentBytes: 1024 * 1024, checkpointBytes: 4 * 1024 * 1024 };
const NODE_ID = 'a'.repeat(32) as NodeId;

const clock = new NodeClock();
const random = new NodeRandom();

export async function runRestartBench(report: Report): Promise<void> {
  const directory = await fs.mkdtemp(path.join(process.env['BENCH_DIRECTORY'] ?? tmpdir(), 'dht-restart-bench-'));
  try {
    await benchRestart(path.join(directory, 'restart'), report);
    await benchOverwrites(path.join(directory, 'hurried overwrites'), Infinity, report);
    await benchOverwrites(path.join(directory, 'overwrites'), RING_WRITES_PER_SECOND, report);
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
}

async function open(directory: string, upkeep: Partial<LogUpkeepTuning>, segmentBytes = NODE_TUNING.store.segmentBytes): Promise<ObjectStore> {
  const outcome = await ObjectStore.open(
    { disk: new NodeDisk(), clock, log: silentLog, random, onFailure: (error) => { throw error; }, onDamage: (detail) => { throw new Error(detail); } },
    {
      ...NODE_TUNING.store, directory, name: '127.0.0.1:7001', keyBits: 48, segmentBytes, bodies: BODY_LIMITS,
      resolveBeforeSync: false, unlinkBeforeSync: false, upkeep: { ...NODE_TUNING.store.upkeep, ...upkeep },
    },
  );
  if (outcome.kind !== 'opened') throw new Error(`not opened: ${JSON.stringify(outcome)}`);
  return outcome.store;
}

const keyOf = (n: number): ObjectKey => createHash('sha256').update(String(n)).digest('hex').slice(0, 40) as ObjectKey;
const bodyIdOf = (n: number): BodyId => n.toString(16).padStart(32, '0') as BodyId;
const ballotOf = (n: number): Ballot => ({ epoch: 1, hlc: 1_700_000_000_000 * 1024 + n, nodeId: NODE_ID });

function recordOf(n: number, size: number): LiveRecord {
  return {
    kind: 'object', version: ballotOf(n), lineageFloor: ZERO_BALLOT, ops: [],
    body: { bodyId: bodyIdOf(n), size, sha256: '0'.repeat(64), where: 'inline', chunkCrcs: [] },
    contentType: 'application/octet-stream', meta: [], createdMs: 1_700_000_000_000,
  };
}

function put(store: ObjectStore, k: number, n: number, body: Buffer): Promise<void> {
  const name = `photos/2026/${k.toString().padStart(7, '0')}/original.x`;
  void store.promise(keyOf(k), name, ballotOf(n), { bodyId: bodyIdOf(n), bytes: body });
  return store.accept(keyOf(k), name, ballotOf(n), recordOf(n, body.length));
}

async function benchRestart(directory: string, report: Report): Promise<void> {
  const filled = await open(directory, { checkpointBytes: Infinity });
  for (let n = 0; n < OBJECTS; n++) {
    const done = put(filled, n, n, BODY);
    if (n % 1000 === 999) await done;
  }
  await filled.flushed();
  await filled.close();

  const byLogMs = await timed(async () => { await (await open(directory, { checkpointBytes: Infinity })).close(); });
  report({ what: `restart of ${OBJECTS} objects by the log alone: seconds`, perSecond: byLogMs / 1000 });

  // The checkpoint that a stop writes.
  const closing = await open(directory, {});
  const closeMs = await timed(() => closing.close());
  const { checkpointBytes } = closing.upkeep();
  report({ what: 'checkpoint at a stop: seconds', perSecond: closeMs / 1000 });
  report({ what: 'checkpoint: bytes an object', perSecond: checkpointBytes / OBJECTS });

  globalThis.gc?.();
  const before = process.memoryUsage();
  let store: ObjectStore | null = null;
  const byCheckpointMs = await timed(async () => { store = await open(directory, {}); });
  const after = process.memoryUsage();
  report({ what: `restart of ${OBJECTS} objects by a checkpoint: seconds`, perSecond: byCheckpointMs / 1000, budget: 5, ratioToRaw: byCheckpointMs / byLogMs });
  report({ what: 'resident memory after that: MB more than before', perSecond: (after.rss - before.rss) / 1e6 });
  globalThis.gc?.();
  const settled = process.memoryUsage();
  report({ what: 'memory of index and names: bytes an object', perSecond: (settled.external + settled.heapUsed - before.external - before.heapUsed) / OBJECTS });
  if (store === null) return;
  await benchWhileWriting(store, report);
}

/** A third of the interval between two checkpoints behind a checkpoint; and how long a paced checkpoint holds up others. */
async function benchWhileWriting(store: ObjectStore, report: Report): Promise<void> {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  const quiet = store.upkeep().checkpoints;
  loop.enable();
  let n = OBJECTS;
  const end = performance.now() + 60_000;
  while (store.upkeep().checkpoints === quiet && performance.now() < end) {
    const done = put(store, n % OBJECTS, n, BODY);
    n++;
    if (n % 50 === 0) await done;
  }
  loop.disable();
  report({ what: 'a paced checkpoint under writes: seconds', perSecond: store.upkeep().checkpointMs / 1000 });
  report({ what: 'event loop meanwhile: longest delay, ms (p99 beside)', perSecond: loop.max / 1e6, p99Ms: loop.percentile(99) / 1e6 });
  await store.close();
}

/** `writesPerSecond`: Infinity for as fast as the store takes them, which no ring does. */
async function benchOverwrites(directory: string, writesPerSecond: number, report: Report): Promise<void> {
  const store = await open(directory, { checkpointBytes: SMALL.checkpointBytes, bytesPerSecond: 1024 * 1024 * 1024 }, SMALL.segmentBytes);
  const body = randomBytes(OVERWRITTEN_SIZE);
  const start = performance.now();
  let highest = 0;
  for (let n = 0; n < OVERWRITES * OVERWRITTEN_KEYS; n++) {
    const done = put(store, random.below(OVERWRITTEN_KEYS), n, body);
    if (n % WRITES_AT_ONCE !== WRITES_AT_ONCE - 1) continue;
    await done;
    await delay(Math.max(0, start + n / writesPerSecond * 1000 - performance.now()));
    if (n > OVERWRITTEN_KEYS) highest = Math.max(highest, store.totals().logBytes / Math.max(1, store.upkeep().liveBytes));
  }
  const { liveBytes, copiedBytes } = store.upkeep();
  const { logBytes } = store.totals();
  const pace = Number.isFinite(writesPerSecond) ? `${writesPerSecond} writes/s` : 'as fast as they are taken';
  report({ what: `log to live bytes after ${OVERWRITES} random overwrites of each key, ${pace}`, perSecond: logBytes / liveBytes, budget: 2 });
  report({ what: 'the same, highest on the way', perSecond: highest });
  report({ what: 'bytes copied by compaction to bytes written', perSecond: copiedBytes / store.durablePosition() });
  await store.close();
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
