/**
 * Crashes at every operation of workloads with large bodies: a body that was acknowledged as held is readable afterwards, as
 * long as its record wasn't replaced; a file is never lost before its replacement is durable; nothing is taken for damage; and
 * what is left over is known to be so.
 */
import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { compareBallots } from '../../../src/domain/ballot.ts';
import { BODY_LIMITS } from '../../../src/domain/body-limits.ts';
import type { ObjectKey } from '../../../src/domain/ring-position.ts';
import type { ObjectRecord } from '../../../src/domain/stored-object.ts';
import type { Random } from '../../../src/ports/random.ts';
import type { SimDisk } from '../../../src/sim/sim-disk.ts';
import type { ObjectStore } from '../../../src/storage/object-store.ts';
import { ballot, bodyId, DIRECTORY, keyAt, liveRecord, opened, tombstone } from './store-fixture.ts';
import { testRandom, testSimDisk } from './test-disk.ts';

const CHUNK = 300;
const OPTIONS = {
  segmentBytes: 4096, upkeep: { checkpointBytes: 2000, liveShareMin: 0.5, bytesPerSecond: Infinity }, recordCacheBytes: 0, bodyCacheBytes: 0, bodies: { ...BODY_LIMITS, inlineBytesMax: 300, chunkBytes: CHUNK, lagBytesMax: 1200 },
};

const isInline = (n: number): boolean => n % 3 === 0;
const keyOf = (n: number): ObjectKey => keyAt(n * 0x100000001, n);
const bytesOf = (n: number): Buffer => {
  // Some are long enough to be synced on the way.
  const size = isInline(n) ? (n * 37) % 300 : n % 7 === 0 ? 20_000 + n : 301 + ((n * 977) % 3000);
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i++) bytes[i] = i + n + (i >> 8);
  return bytes;
};
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

function recordOf(n: number): ObjectRecord {
  const record = liveRecord(ballot(n), bodyId(n), bytesOf(n).length);
  return { ...record, body: { ...record.body, where: isInline(n) ? 'inline' : 'file', sha256: sha256(bytesOf(n)) } };
}

/** What was promised: the write whose record each key has at least, and bodies that were staged for a key and not named yet. */
class Model {
  /** 0: nothing. */
  readonly accepted = new Map<ObjectKey, { n: number; isTombstone: boolean }>();
  readonly staged = new Map<number, ObjectKey>();
}

async function stage(store: ObjectStore, key: ObjectKey, n: number): Promise<void> {
  const bytes = bytesOf(n);
  if (isInline(n)) return store.stage(key, bodyId(n), bytes);
  const writer = await store.openBody(key, bodyId(n));
  if (typeof writer === 'string') throw new Error(writer);
  for (let at = writer.length; at < bytes.length; at += CHUNK) {
    await writer.append(bytes.subarray(at, at + CHUNK));
    // Some transfers break off and are gone on with.
    if (n % 5 === 0 && at === CHUNK) {
      await writer.abort('keep');
      return stage(store, key, n);
    }
  }
  if ((await writer.finish({ size: bytes.length, sha256: sha256(bytes) })) !== 'held') throw new Error('mismatch');
}

async function step(store: ObjectStore, model: Model, n: number, random: Random): Promise<void> {
  const key = keyOf(random.below(3));
  if (random.below(4) === 0) {
    await store.accept(key, `key ${key}`, ballot(n), tombstone(ballot(n)));
    model.accepted.set(key, { n, isTombstone: true });
    return;
  }
  await stage(store, key, n);
  model.staged.set(n, key);
  expect(store.holdsBody(key, bodyId(n))).toBe(true);
  if (random.below(4) === 0) return;
  const done = store.accept(key, `key ${key}`, ballot(n), recordOf(n));
  model.staged.delete(n);
  await done;
  model.accepted.set(key, { n, isTombstone: false });
}

async function check(store: ObjectStore, model: Model): Promise<void> {
  for (const [key, wanted] of model.accepted) {
    const head = store.head(key);
    expect(compareBallots(head?.accepted ?? ballot(0), ballot(wanted.n))).toBeGreaterThanOrEqual(0);
    if (head?.bodyId === null || head === null) continue;
    expect(store.holdsBody(key, head.bodyId)).toBe(true);
    const n = Number(`0x${head.bodyId}`);
    expect((await store.readBody(key, head.bodyId, 0, 1e6))?.bytes.equals(bytesOf(n))).toBe(true);
  }
  for (const [n, key] of model.staged) {
    expect((await store.readBody(key, bodyId(n), 0, 1e6))?.bytes.equals(bytesOf(n))).toBe(true);
  }
  const names = store.scanNames('', null, 100).entries.map(({ key }) => key).sort();
  const accepted = [0, 1, 2].map(keyOf).filter((key) => store.head(key) !== null && store.head(key)?.kind !== 'none');
  expect(names).toEqual(accepted.sort());
}

/** Until it ends or the machine crashes: then nothing that it waits for ever comes. */
async function runLife(disk: SimDisk, model: Model, random: Random, first: number, steps: number, hasCrashed: () => boolean): Promise<void> {
  let isOver = false;
  const life = (async () => {
    const store = await opened(disk.boot(), OPTIONS, { onDamage: (detail) => { throw new Error(detail); }, onFailure: (error) => { throw error as Error; } });
    await check(store, model);
    for (let n = first; n < first + steps; n++) await step(store, model, n, random);
    await check(store, model);
    await store.close();
  })().finally(() => { isOver = true; });
  while (!isOver && !hasCrashed()) await new Promise((resolve) => setImmediate(resolve));
  if (isOver) await life;
}

/** Files of bodies are those that are held, as far as the directories were synced. */
function expectNoLeftovers(disk: SimDisk, model: Model): void {
  const files = [...disk.snapshot().keys()].filter((path) => path.startsWith(`${DIRECTORY}/bodies/`)).length;
  const named = [...model.accepted.values()].filter(({ n, isTombstone }) => !isTombstone && !isInline(n)).length;
  const staged = [...model.staged.keys()].filter((n) => !isInline(n)).length;
  expect(files).toBe(named + staged);
}

async function crashRun(seed: string, crashAt: number, steps: number): Promise<number> {
  let operations = 0;
  let hasCrashed = false;
  const disk = testSimDisk(seed, (_operation, count) => {
    operations = count;
    if (count !== crashAt) return;
    hasCrashed = true;
    disk.crash();
  });
  const model = new Model();
  await runLife(disk, model, testRandom(`${seed} workload`), 1, steps, () => hasCrashed);
  if (crashAt === Infinity) {
    expectNoLeftovers(disk, model);
    return operations;
  }
  hasCrashed = false;
  await runLife(disk, model, testRandom(`${seed} second`), 1000, 3, () => false);
  await runLife(disk, model, testRandom(`${seed} third`), 2000, 0, () => false);
  return operations;
}

describe('crashes with large bodies', () => {
  test.each([1, 2, 3])('at every operation of a workload nothing promised is lost (workload %i)', async (workload) => {
    const operations = await crashRun(`bodies ${workload}`, Infinity, 8);
    expect(operations).toBeGreaterThan(100);
    for (let crashAt = 1; crashAt <= operations; crashAt++) await crashRun(`bodies ${workload}`, crashAt, 8);
  }, 60_000);

  test('life after life nothing promised is lost', async () => {
    for (let seed = 0; seed < 15; seed++) {
      let crashAt = Infinity;
      let hasCrashed = false;
      let operations = 0;
      const disk = testSimDisk(`lives ${seed}`, (_operation, count) => {
        operations = count;
        if (count < crashAt) return;
        crashAt = Infinity;
        hasCrashed = true;
        disk.crash();
      });
      const random = testRandom(`lives ${seed} workload`);
      const model = new Model();
      for (let life = 1; life < 8; life++) {
        hasCrashed = false;
        crashAt = random.below(3) > 0 ? operations + 10 + random.below(600) : Infinity;
        await runLife(disk, model, random, life * 1000, 10, () => hasCrashed);
      }
    }
  }, 60_000);

  test('is noticed when files go before the records that replace them are durable', async () => {
    let lostCount = 0;
    for (let seed = 0; seed < 60; seed++) {
      let crashIn = Infinity;
      let hasCrashed = false;
      const disk = testSimDisk(`early ${seed}`, () => {
        if (--crashIn > 0) return;
        crashIn = Infinity;
        hasCrashed = true;
        disk.crash();
      });
      const store = await opened(disk.boot(), { ...OPTIONS, unlinkBeforeSync: true });
      await stage(store, keyOf(1), 1);
      await store.accept(keyOf(1), 'n', ballot(1), recordOf(1));
      crashIn = 1 + (seed % 4);
      void store.accept(keyOf(1), 'n', ballot(2), tombstone(ballot(2)));
      for (let i = 0; i < 20 && !hasCrashed; i++) await new Promise((resolve) => setImmediate(resolve));
      crashIn = Infinity;
      const again = await opened(disk.boot(), OPTIONS);
      if (again.head(keyOf(1))?.kind === 'object' && !again.holdsBody(keyOf(1), bodyId(1))) lostCount++;
    }
    expect(lostCount).toBeGreaterThan(0);
  });
});
