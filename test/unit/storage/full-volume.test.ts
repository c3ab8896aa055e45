/** A volume without space, met at any call: nothing acknowledged is lost, and the store goes on by itself once there is some. */
import { describe, expect, test } from '@jest/globals';
import { must } from '../../../src/domain/assert.ts';
import { SimDisk, type SimDiskOperation } from '../../../src/sim/sim-disk.ts';
import type { ObjectStore } from '../../../src/storage/object-store.ts';
import { ballot, bodyId, DIRECTORY, keyAt, liveRecord, opened, storeOptions, tombstone } from './store-fixture.ts';
import { testClock, testRandom } from './test-disk.ts';

const INSTANT = { minMs: 0, maxMs: 0 };
const RETRY_MS = storeOptions.space.retryMs;
const MIB = 2 ** 20;

function diskOf(capacityBytes: number): SimDisk {
  return new SimDisk({ clock: testClock(), random: testRandom('disk') }, { capacityBytes, syncLatency: INSTANT, otherLatency: INSTANT });
}

async function turns(): Promise<void> {
  for (let i = 0; i < 200; i++) await Promise.resolve();
}

function put(store: ObjectStore, n: number, bytes: number): Promise<void> {
  const key = keyAt(n * 1000);
  const staged = store.promise(key, `file ${n}`, ballot(n), { bodyId: bodyId(n), bytes: Buffer.alloc(bytes, n) });
  return staged.then(() => store.accept(key, `file ${n}`, ballot(n), liveRecord(ballot(n), bodyId(n), bytes)));
}

const isStored = (store: ObjectStore, n: number): boolean => store.head(keyAt(n * 1000))?.kind === 'object' && store.holdsBody(keyAt(n * 1000), bodyId(n));

describe('a full volume', () => {
  test('takes no bodies from 97 % on, but deletes and promises, and bodies again when there is room', async () => {
    const clock = testClock();
    const disk = diskOf(4 * MIB);
    const store = await opened(disk.boot(), {}, { clock });
    await put(store, 1, 1000);
    for (const n of [3, 4, 5]) await put(store, n, 60_000);
    disk.setUsedPart(0.975);
    clock.advance(storeOptions.space.sampleMs);
    await turns();
    expect(store.spaceLevel()).toBe('read-only');
    await expect(put(store, 2, 1000)).rejects.toMatchObject({ code: 'DHT_ERR_DISK_FULL' });
    expect(store.head(keyAt(2000))).toBeNull();
    expect(await store.openBody(keyAt(2000), bodyId(2))).toBe('full');
    await store.promise(keyAt(2000), 'file 2', ballot(20), null);
    await store.accept(keyAt(1000), 'file 1', ballot(21), tombstone(ballot(21)));
    disk.setCapacity(4 * MIB);
    clock.advance(storeOptions.space.sampleMs);
    await turns();
    expect(store.spaceLevel()).toBe('ample');
    await put(store, 22, 1000);
    await store.close();
  });

  test('gives up its ballast so that a delete is logged, and takes it again when there is room', async () => {
    const clock = testClock();
    const disk = diskOf(16 * MIB);
    const space = { ...storeOptions.space, ballastBytes: 64 * 1024, ballastPieceBytes: 16 * 1024 };
    const store = await opened(disk.boot(), { space }, { clock });
    const ballastBytes = (): number => disk.snapshot().get(`${DIRECTORY}/ballast`)?.length ?? 0;
    const pass = async (): Promise<void> => {
      for (let i = 0; i < 20; i++) { clock.advance(500); await turns(); }
    };
    await put(store, 1, 20_000);
    await pass();
    expect(ballastBytes()).toBe(space.ballastBytes);
    await store.close();
    const again = await opened(disk.boot(), { space }, { clock });
    disk.setUsedPart(1);
    await again.accept(keyAt(1000), 'file 1', ballot(21), tombstone(ballot(21)));
    expect(ballastBytes()).toBe(0);
    expect(again.spaceLevel()).toBe('read-only');
    disk.setCapacity(16 * MIB);
    await pass();
    expect(ballastBytes()).toBe(space.ballastBytes);
    expect(again.spaceLevel()).toBe('ample');
    await again.close();
  });

  test('filled by others while the node was down, costs it the ballast at its start and not the start', async () => {
    const clock = testClock();
    const disk = diskOf(16 * MIB);
    const space = { ...storeOptions.space, ballastBytes: 64 * 1024, ballastPieceBytes: 16 * 1024 };
    const store = await opened(disk.boot(), { space }, { clock });
    await put(store, 1, 20_000);
    for (let i = 0; i < 20; i++) { clock.advance(500); await turns(); }
    await store.close();
    const door = disk.boot();
    const other = await door.open('/data/other', 'create');
    const { freeBytes } = await door.space('/data');
    await other.write(0, [Buffer.alloc(freeBytes)]);
    await other.sync();
    await expect(other.write(freeBytes, [Buffer.alloc(1)])).rejects.toMatchObject({ code: 'ENOSPC' });
    await other.close();
    const again = await opened(disk.boot(), { space }, { clock });
    expect(disk.snapshot().has(`${DIRECTORY}/ballast`)).toBe(false);
    expect(isStored(again, 1)).toBe(true);
    await again.accept(keyAt(1000), 'file 1', ballot(21), tombstone(ballot(21)));
    await again.close();
    expect((await opened(disk.boot(), { space }, { clock })).head(keyAt(1000))?.kind).toBe('tombstone');
  });

  test('without a ballast: the change waits, others are refused, and it goes on without a restart', async () => {
    const clock = testClock();
    const disk = diskOf(4 * MIB);
    const store = await opened(disk.boot(), {}, { clock });
    await put(store, 1, 1000);
    disk.setUsedPart(1);
    let isDone = false;
    // More than the zeros ahead of the log hold.
    const waiting = Promise.all(Array.from({ length: 40 }, (_, i) => store.promise(keyAt(i), 'waits'.repeat(100), ballot(50), null))).then(() => { isDone = true; });
    await turns();
    expect(store.spaceView().isStalled).toBe(true);
    await expect(store.promise(keyAt(77), 'n', ballot(51), null)).rejects.toMatchObject({ code: 'DHT_ERR_DISK_FULL' });
    clock.advance(10 * RETRY_MS);
    await turns();
    expect(isDone).toBe(false);
    expect((await store.load(keyAt(1000), must(store.head(keyAt(1000)), 'the register')))?.name).toBe('file 1');
    disk.setCapacity(4 * MIB);
    clock.advance(RETRY_MS);
    await turns();
    await waiting;
    expect(store.spaceView().isStalled).toBe(false);
    await store.promise(keyAt(77), 'n', ballot(51), null);
    await store.close();
    const reopened = await opened(disk.boot(), {}, { clock });
    expect(reopened.head(keyAt(39))?.promised).toEqual(ballot(50));
    await reopened.close();
  });

  test.each<SimDiskOperation>(['open', 'write', 'sync', 'sync-directory'])('met at any one %s: every acknowledged change is there after a crash', async (operation) => {
    for (let skip = 0; skip < 25; skip++) {
      const clock = testClock();
      const disk = diskOf(64 * MIB);
      let failure: unknown = null;
      const store = await opened(disk.boot(), { segmentBytes: 4096 }, { clock, onFailure: (error) => { failure = error; } });
      disk.failNext(operation, 'ENOSPC', skip, '/log/');
      const acknowledged = new Set<number>();
      for (let n = 1; n <= 12; n++) {
        void put(store, n, 900).then(() => acknowledged.add(n), () => undefined);
        await turns();
        clock.advance(storeOptions.space.sampleMs);
        await turns();
      }
      expect(failure).toBeNull();
      expect(acknowledged.size).toBeGreaterThan(9);
      disk.forgiveFaults();
      disk.crash();
      const after = await opened(disk.boot(), { segmentBytes: 4096 }, { clock });
      for (const n of acknowledged) expect(isStored(after, n)).toBe(true);
      await after.close();
    }
  });
});
