/**
 * Compaction: the log stays short under overwrites, nothing but the place of things changes, and a copy never undoes what
 * happened while it was made.
 */
import { describe, expect, test } from '@jest/globals';
import type { ObjectKey } from '../../../src/domain/ring-position.ts';
import type { SimDisk } from '../../../src/sim/sim-disk.ts';
import { SEGMENT_HEADER_BYTES } from '../../../src/storage/log-format.ts';
import type { ObjectStore, ObjectStoreOptions } from '../../../src/storage/object-store.ts';
import { dumpOf } from './store-dump.ts';
import { ballot, bodyId, DIRECTORY, keyAt, liveRecord, opened } from './store-fixture.ts';
import { testRandom, testSimDisk } from './test-disk.ts';

const CHECKPOINT_BYTES = 20_000;
const OPTIONS: Partial<ObjectStoreOptions> = {
  segmentBytes: 8192, recordCacheBytes: 0, bodyCacheBytes: 0,
  upkeep: { checkpointBytes: CHECKPOINT_BYTES, liveShareMin: 0.5, bytesPerSecond: Infinity },
};
const KEYS = 150;
const SIZE = 400;
const OVERWRITES = 20;

const keyOf = (n: number): ObjectKey => keyAt((n * 0x1234_5678_9ab) % 2 ** 48, n);
const bodyOf = (n: number): Buffer => Buffer.alloc(SIZE, n & 255);
const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });
const turns = async (count: number): Promise<void> => { for (let i = 0; i < count; i++) await turn(); };

async function put(store: ObjectStore, key: ObjectKey, n: number): Promise<void> {
  void store.promise(key, `name of ${key}`, ballot(n), { bodyId: bodyId(n), bytes: bodyOf(n) });
  await store.accept(key, `name of ${key}`, ballot(n), liveRecord(ballot(n), bodyId(n), SIZE));
}

const segmentsOf = (disk: SimDisk): string[] => [...disk.snapshot().keys()].filter((path) => path.endsWith('.seg')).sort();
const logBytes = (disk: SimDisk): number => segmentsOf(disk).reduce((sum, path) => sum + (disk.snapshot().get(path)?.length ?? 0), 0);

describe('compaction', () => {
  test.each(['at random', 'one after the other'] as const)('keeps the log at twice what is live and a few checkpoints: twenty overwrites of each key, %s', async (order) => {
    const disk = testSimDisk('short');
    const store = await opened(disk.boot(), OPTIONS);
    const random = testRandom('short');
    let bytesMax = 0;
    for (let n = 0; n < OVERWRITES * KEYS; n++) {
      await put(store, keyOf(order === 'at random' ? random.below(KEYS) : n % KEYS), n + 1);
      if (n % KEYS === 0) bytesMax = Math.max(bytesMax, logBytes(disk));
    }
    await turns(20);
    const { liveBytes, compactedSegments, removedSegments, copiedBytes } = store.upkeep();
    expect(liveBytes).toBeGreaterThan(KEYS * SIZE);
    expect(logBytes(disk)).toBeLessThan(2 * liveBytes + 3 * CHECKPOINT_BYTES);
    expect(bytesMax).toBeLessThan(2 * liveBytes + 4 * CHECKPOINT_BYTES);
    expect(removedSegments).toBeGreaterThan(50);
    // Copying takes at most as much as it gives back.
    expect(copiedBytes).toBeLessThanOrEqual(store.recoveredPosition + removedSegments * 8192);
    if (order === 'at random') expect(compactedSegments).toBeGreaterThan(5);
    const dump = await dumpOf(store);
    await store.close();
    const again = await opened(disk.boot(), OPTIONS);
    expect(await dumpOf(again)).toEqual(dump);
  });

  test('carries staged bodies along, for as long as they would have been kept', async () => {
    const disk = testSimDisk('staged');
    const store = await opened(disk.boot(), OPTIONS);
    await store.stage(keyOf(9999), bodyId(77_777), bodyOf(7));
    for (let n = 0; n < 10 * KEYS; n++) await put(store, keyOf(n % KEYS), n + 1);
    await turns(20);
    expect(segmentsOf(disk)[0]).not.toBe(`${DIRECTORY}/log/000001.seg`);
    expect((await store.readBody(keyOf(9999), bodyId(77_777), 0, SIZE))?.bytes).toEqual(bodyOf(7));
    await store.accept(keyOf(9999), 'late', ballot(1), liveRecord(ballot(1), bodyId(77_777), SIZE));
    await store.close();
    const again = await opened(disk.boot(), OPTIONS);
    expect((await again.readBody(keyOf(9999), bodyId(77_777), 0, SIZE))?.bytes).toEqual(bodyOf(7));
  });

  test('never undoes a promise, an accept or a release that comes while it copies', async () => {
    for (let seed = 0; seed < 4; seed++) {
      const disk = testSimDisk(`races ${seed}`);
      const random = testRandom(`races ${seed}`);
      const store = await opened(disk.boot(), OPTIONS);
      const promised = new Map<ObjectKey, number>();
      const accepted = new Map<ObjectKey, number>();
      for (let n = 1; n < 1500; n++) {
        const key = keyOf(random.below(KEYS));
        const fate = random.below(10);
        if (fate < 2) {
          void store.promise(key, `name of ${key}`, ballot(n), null);
          promised.set(key, n);
        } else if (fate === 2) {
          void store.release([{ key, accepted: ballot(accepted.get(key) ?? 0) }]);
          const isSame = store.head(key) === null;
          if (isSame) {
            promised.delete(key);
            accepted.delete(key);
          }
        } else {
          void put(store, key, n);
          promised.set(key, n);
          accepted.set(key, n);
        }
        if (random.below(8) === 0) await turn();
      }
      await store.flushed();
      await turns(10);
      expect(store.upkeep().compactedSegments).toBeGreaterThan(0);
      const check = (candidate: ObjectStore): void => {
        for (let k = 0; k < KEYS; k++) {
          const head = candidate.head(keyOf(k));
          expect([head?.promised.hlc ?? 0, head?.accepted.hlc ?? 0]).toEqual([promised.get(keyOf(k)) ?? 0, accepted.get(keyOf(k)) ?? 0]);
        }
      };
      check(store);
      const dump = await dumpOf(store);
      await store.close();
      const again = await opened(disk.boot(), OPTIONS);
      check(again);
      expect(await dumpOf(again)).toEqual(dump);
    }
  });

  test('takes nothing from under a reader: a head of before finds its record, or learns that it was replaced', async () => {
    const disk = testSimDisk('readers');
    const store = await opened(disk.boot(), OPTIONS);
    for (let n = 0; n < KEYS; n++) await put(store, keyOf(n), n + 1);
    const kept = store.head(keyOf(1));
    const replaced = store.head(keyOf(2));
    for (let n = KEYS; n < 12 * KEYS; n++) await put(store, keyOf(2 + (n % (KEYS - 2))), n + 1);
    await turns(20);
    if (kept === null || replaced === null) throw new Error('no head');
    expect((await store.load(keyOf(1), kept))?.record.version).toEqual(ballot(2));
    expect(await store.load(keyOf(2), replaced)).toBeNull();
  });

  test('reports rotten bytes, copies none of them as good ones, and keeps the segment of a rotten record', async () => {
    const disk = testSimDisk('rot');
    const damage: (ObjectKey | null)[] = [];
    const store = await opened(disk.boot(), OPTIONS, { onDamage: (_, key) => damage.push(key) });
    for (let n = 0; n < 3; n++) await put(store, keyOf(1000 + n), n + 1);
    await store.flushed();
    const first = `${DIRECTORY}/log/000001.seg`;
    const stored = disk.snapshot().get(first) ?? Buffer.alloc(0);
    // The body of the first, the record of the second.
    disk.flipBit(first, stored.indexOf(bodyOf(1)) + 5, 1);
    const at = (store.head(keyOf(1001))?.recordAt as { position: number }).position;
    disk.flipBit(first, SEGMENT_HEADER_BYTES + at + 40, 1);
    for (let n = 10; n < 10 * KEYS; n++) await put(store, keyOf(n % KEYS), n + 1);
    await turns(20);
    // With their keys: they are healed at once, not when the scrub comes by.
    expect(new Set(damage)).toEqual(new Set([keyOf(1000), keyOf(1001)]));
    expect(damage).toHaveLength(2);
    expect(store.holdsBody(keyOf(1000), bodyId(1))).toBe(false);
    expect(segmentsOf(disk)[0]).toBe(first);
    const head = store.head(keyOf(1001));
    if (head === null) throw new Error('no head');
    await expect(store.load(keyOf(1001), head)).rejects.toThrow();
    expect((await store.readBody(keyOf(1002), bodyId(3), 0, SIZE))?.bytes).toEqual(bodyOf(3));
  });
});
