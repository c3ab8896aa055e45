/**
 * Checkpoints: the state that a restart finds through one is the state there was, whatever changed while it was written; a
 * damaged one costs time and nothing else; nothing ever starts with less than there was.
 */
import { describe, expect, test } from '@jest/globals';
import type { ClusterId } from '../../../src/domain/ids.ts';
import type { Layout } from '../../../src/domain/layout.ts';
import { STAGING_TTL_MS } from '../../../src/domain/limits.ts';
import type { Position } from '../../../src/domain/ring-position.ts';
import type { Random } from '../../../src/ports/random.ts';
import type { SimDisk } from '../../../src/sim/sim-disk.ts';
import { IndexSnapshot } from '../../../src/storage/index-snapshot.ts';
import { KeyIndex, NOTHING_ACCEPTED } from '../../../src/storage/key-index.ts';
import type { ObjectStore, ObjectStoreOptions } from '../../../src/storage/object-store.ts';
import { dumpOf, type StagedBody } from './store-dump.ts';
import { arc, ballot, bodyId, DIRECTORY, keyAt, liveRecord, node, opened, openStore, tombstone } from './store-fixture.ts';
import { testClock, testRandom, testSimDisk } from './test-disk.ts';
import { silentLog } from '../../support/silent-log.ts';


const LOG = `${DIRECTORY}/log`;
const NEVER = { upkeep: { checkpointBytes: Infinity, liveShareMin: 0.5, bytesPerSecond: Infinity } };
const OFTEN: Partial<ObjectStoreOptions> = {
  segmentBytes: 4096, recordCacheBytes: 0, bodyCacheBytes: 0, upkeep: { checkpointBytes: 10_000, liveShareMin: 0.5, bytesPerSecond: Infinity },
};

const keyOf = (n: number): ReturnType<typeof keyAt> => keyAt((n * 0x1234_5678_9ab) % 2 ** 48, n);
const bodyOf = (n: number): Buffer => Buffer.alloc((n * 37) % 300, n & 255);
const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });
const turns = async (count: number): Promise<void> => { for (let i = 0; i < count; i++) await turn(); };

const layoutOf = (epoch: number): Layout => ({
  clusterId: node(1) as string as ClusterId, epoch, keyBits: 48, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1,
  members: [{ nodeId: node(1), name: '127.0.0.1:7001', advertise: 'a.example:7001', tokens: [100 as Position], zone: '', weight: 1, state: 'member' }],
  voters: [node(1)], recoveries: [], phase: 'stable', arcs: [{ end: 100 as Position, old: [], new: [node(1)], since: new Map([[node(1), epoch]]) }],
});

/** Changes of all kinds; gives the bodies that it staged. */
async function change(store: ObjectStore, random: Random, from: number, count: number): Promise<readonly StagedBody[]> {
  const staged: StagedBody[] = [];
  for (let n = from; n < from + count; n++) {
    const key = keyOf(random.below(60));
    const name = `name of ${key}`;
    switch (random.below(12)) {
      case 0:
        void store.promise(key, name, ballot(n, 1, 1 + random.below(3)), null);
        break;
      case 1:
        void store.accept(key, name, ballot(n), tombstone(ballot(n)));
        break;
      case 2:
        void store.stage(key, bodyId(n), bodyOf(n));
        staged.push({ key, bodyId: bodyId(n) });
        break;
      case 3:
        void store.raiseFloor(arc(random.below(2 ** 47), 2 ** 47 + random.below(2 ** 46)), ballot(n));
        break;
      case 4: {
        const head = store.head(key);
        if (head !== null) void store.release([{ key, accepted: head.accepted }]);
        break;
      }
      case 5:
        store.remember(node(1 + random.below(3)), n, n);
        break;
      case 6:
        if (random.below(4) > 0) break;
        void store.adoptLayout(layoutOf(n), [arc(random.below(2 ** 48), random.below(2 ** 48))]);
        void store.saveCaught(n, new Set([n as Position]));
        void store.saveSlot({ promised: ballot(n), accepted: { ballot: ballot(n), value: layoutOf(n + 1) } });
        break;
      default:
        void store.promise(key, name, ballot(n), { bodyId: bodyId(n), bytes: bodyOf(n) });
        void store.accept(key, name, ballot(n), liveRecord(ballot(n), bodyId(n), bodyOf(n).length));
    }
    if (random.below(3) === 0) await store.flushed();
    if (random.below(5) === 0) await turn();
  }
  // What is remembered of peers goes along with the next batch.
  await store.promise(keyOf(100), 'last', ballot(from + count), null);
  await turn();
  return staged;
}

const namesOf = (disk: SimDisk, ending: string): string[] => [...disk.snapshot().keys()].filter((path) => path.endsWith(ending));

/** A store with two checkpoints, closed; its dump. */
async function twoCheckpoints(seed: string): Promise<{ disk: SimDisk; dump: unknown; staged: readonly StagedBody[] }> {
  const disk = testSimDisk(seed);
  const store = await opened(disk.boot(), OFTEN);
  const random = testRandom(seed);
  const staged = [...await change(store, random, 1, 500), ...await change(store, random, 1000, 300)];
  await store.close();
  const again = await opened(disk.boot(), { ...OFTEN, ...NEVER });
  const dump = await dumpOf(again, staged);
  await again.close();
  expect(namesOf(disk, '.ckpt')).toHaveLength(2);
  return { disk, dump, staged };
}

describe('a checkpoint', () => {
  test('and the log behind it give the state there was, over many restarts, with changes while it is written', async () => {
    for (let seed = 0; seed < 15; seed++) {
      const disk = testSimDisk(`same ${seed}`);
      const random = testRandom(`same ${seed}`);
      const staged: StagedBody[] = [];
      for (let life = 0; life < 4; life++) {
        const store = await opened(disk.boot(), OFTEN);
        staged.push(...await change(store, random, 1 + life * 1000, 250));
        const dump = await dumpOf(store, staged);
        await store.close();
        const again = await opened(disk.boot(), { ...OFTEN, ...NEVER });
        expect(await dumpOf(again, staged)).toEqual(dump);
        await again.close();
      }
      expect(namesOf(disk, '.ckpt')).toHaveLength(2);
      expect(namesOf(disk, '.seg').length).toBeLessThan(45);
    }
  });

  test('is not repeated: the log before it is not even read', async () => {
    const { disk, dump, staged } = await twoCheckpoints('skips');
    const newest = namesOf(disk, '.ckpt').sort().at(-1) ?? '';
    const position = Number(/(\d+)\.ckpt$/.exec(newest)?.[1]);
    const store = await opened(disk.boot(), { ...OFTEN, ...NEVER });
    expect(store.recoveredPosition).toBeGreaterThanOrEqual(position);
    expect(await dumpOf(store, staged)).toEqual(dump);
  });

  test('that is damaged in any block costs nothing: the older one and more of the log give the same state', async () => {
    const { disk: whole } = await twoCheckpoints('older');
    const newest = namesOf(whole, '.ckpt').sort().at(-1) ?? '';
    const size = whole.snapshot().get(newest)?.length ?? 0;
    for (let position = 0; position < size; position += position < 100 ? 7 : 997) {
      const { disk, dump, staged } = await twoCheckpoints('older');
      disk.flipBit(newest, position, position % 8);
      const errors: string[] = [];
      const store = await opened(disk.boot(), { ...OFTEN, ...NEVER }, { log: { ...silentLog, error: (message) => errors.push(message) } });
      expect(errors).toEqual(['a checkpoint cannot be read: an older one and more of the log are used']);
      expect(await dumpOf(store, staged)).toEqual(dump);
    }
  });

  test('that is damaged after staged bodies ended and their segments went costs only them', async () => {
    const disk = testSimDisk('expired');
    const clock = testClock();
    const store = await opened(disk.boot(), OFTEN, { clock });
    for (let n = 1; n <= 40; n++) await store.stage(keyOf(n), bodyId(n), Buffer.alloc(300, n));
    for (let n = 100; n < 140; n++) await store.promise(keyOf(n), 'n', ballot(n), null);
    store.checkpointSoon();
    await turns(20);
    clock.advance(2 * STAGING_TTL_MS);
    // The one that is written now names none of the bodies, and with it go their segments; the one before still does.
    for (let n = 140; n < 400 && store.upkeep().removedSegments === 0; n++) {
      await store.promise(keyOf(n), 'x'.repeat(100), ballot(n), null);
      await turns(2);
    }
    expect(store.upkeep().removedSegments).toBeGreaterThan(0);
    const dump = await dumpOf(store);
    await store.close();
    const newest = namesOf(disk, '.ckpt').sort().at(-1) ?? '';
    expect(namesOf(disk, '.ckpt')).toHaveLength(2);
    disk.flipBit(newest, 100, 3);
    const again = await opened(disk.boot(), OFTEN, { clock: testClock() });
    expect(await dumpOf(again)).toEqual(dump);
    for (let n = 1; n <= 40; n++) expect(again.holdsBody(keyOf(n), bodyId(n))).toBe(await again.readBody(keyOf(n), bodyId(n), 0, 300) !== null);
    await again.close();
  });

  test('keeps the segment that ends where it was taken, until the next one', async () => {
    const disk = testSimDisk('end');
    let store = await opened(disk.boot(), OFTEN);
    // Promises of one name, which leave nothing alive behind them; a batch each, so that segments end everywhere.
    for (let n = 1; n <= 2000; n++) {
      await store.promise(keyOf(1), 'n'.repeat(1 + n % 50), ballot(n), null);
      await turns(1);
      if (n % 100 !== 0) continue;
      const dump = await dumpOf(store);
      const copy = testSimDisk('copy');
      copy.restore(disk.takeSnapshot());
      const checkpoints = namesOf(copy, '.ckpt').sort();
      if (checkpoints.length < 2) continue;
      copy.flipBit(checkpoints.at(-1) ?? '', 100, 3);
      const again = await opened(copy.boot(), OFTEN);
      expect(await dumpOf(again)).toEqual(dump);
      await again.close();
    }
    await store.close();
    store = await opened(disk.boot(), OFTEN);
    await store.close();
  });

  test('that is cut short, or has bytes behind its end, counts as damaged', async () => {
    for (const delta of [-1, -30, 1]) {
      const { disk, dump, staged } = await twoCheckpoints('cut');
      const newest = namesOf(disk, '.ckpt').sort().at(-1) ?? '';
      const door = disk.boot();
      const file = await door.open(newest, 'update');
      await file.truncate(await file.size() + delta);
      await file.sync();
      await file.close();
      const errors: string[] = [];
      const store = await opened(disk.boot(), { ...OFTEN, ...NEVER }, { log: { ...silentLog, error: (message) => errors.push(message) } });
      expect(errors).toHaveLength(1);
      expect(await dumpOf(store, staged)).toEqual(dump);
    }
  });

  test('whose older one is damaged too ends the start when the log was truncated; nothing on disk is changed', async () => {
    const { disk } = await twoCheckpoints('both');
    for (const path of namesOf(disk, '.ckpt')) disk.flipBit(path, 70, 1);
    const before = disk.snapshot();
    const outcome = await openStore(disk.boot(), OFTEN);
    expect(outcome).toMatchObject({ kind: 'damaged', file: namesOf(disk, '.ckpt').sort().at(-1) });
    expect(disk.snapshot()).toEqual(before);
  });

  test('that is missing ends the start when the log was truncated', async () => {
    const { disk } = await twoCheckpoints('gone');
    const door = disk.boot();
    for (const path of namesOf(disk, '.ckpt')) await door.remove(path);
    await door.syncDirectory(LOG);
    expect(await openStore(disk.boot(), OFTEN)).toMatchObject({ kind: 'damaged', detail: expect.stringMatching(/^segment \d+ is missing$/) });
  });

  test('that is damaged does not matter when the log is whole', async () => {
    const disk = testSimDisk('log is whole');
    const store = await opened(disk.boot(), { ...OFTEN, segmentBytes: 2 ** 24 });
    const staged = await change(store, testRandom('log is whole'), 1, 400);
    const dump = await dumpOf(store, staged);
    await store.close();
    expect(namesOf(disk, '.ckpt')).toHaveLength(2);
    for (const path of namesOf(disk, '.ckpt')) disk.flipBit(path, 300, 1);
    expect(await dumpOf(await opened(disk.boot(), { ...OFTEN, ...NEVER }), staged)).toEqual(dump);
  });

  test('ahead of the log shows that acknowledged state is gone', async () => {
    const { disk } = await twoCheckpoints('ahead');
    const last = namesOf(disk, '.seg').sort().at(-1) ?? '';
    const file = await disk.boot().open(last, 'update');
    await file.truncate(100);
    await file.sync();
    expect(await openStore(disk.boot(), OFTEN)).toMatchObject({ kind: 'damaged', file: last });
  });

  test('points at no segment that is missing', async () => {
    const { disk } = await twoCheckpoints('segment');
    const first = namesOf(disk, '.seg').sort()[0] ?? '';
    const door = disk.boot();
    await door.remove(first);
    await door.syncDirectory(LOG);
    expect(await openStore(disk.boot(), OFTEN)).toMatchObject({ kind: 'damaged' });
  });

  test('is not given its name before the log up to its position is durable', async () => {
    const order: string[] = [];
    const disk = testSimDisk('order', (operation) => order.push(operation));
    const store = await opened(disk.boot(), OFTEN);
    await change(store, testRandom('order'), 1, 400);
    await store.close();
    expect(order.filter((operation) => operation === 'rename').length).toBeGreaterThan(3);
    order.forEach((operation, index) => {
      // node.json is written, synced, renamed the same way.
      if (operation === 'rename') expect(order[index + 1]).toBe('sync-directory');
    });
  });

  test('is left out when there is no room, and the store goes on', async () => {
    const disk = testSimDisk('full');
    const warnings: string[] = [];
    const store = await opened(disk.boot(), OFTEN, {
      log: { ...silentLog, warn: (message) => warnings.push(message) }, onFailure: (error) => { throw error as Error; },
    });
    disk.failNext('write', 'ENOSPC', 1, '.ckpt');
    const staged = await change(store, testRandom('full'), 1, 400);
    expect(warnings).toContain('there is no room for a checkpoint: the log grows on');
    const dump = await dumpOf(store, staged);
    await store.close();
    expect(namesOf(disk, '.tmp')).toEqual([]);
    expect(namesOf(disk, '.ckpt').length).toBeGreaterThan(0);
    expect(await dumpOf(await opened(disk.boot(), OFTEN), staged)).toEqual(dump);
  });

  test('whose sync fails ends the process', async () => {
    const disk = testSimDisk('eio');
    const failures: unknown[] = [];
    const store = await opened(disk.boot(), OFTEN, { onFailure: (error) => failures.push(error) });
    disk.failNext('sync', 'EIO', 0, '.ckpt');
    await change(store, testRandom('eio'), 1, 200);
    expect(failures).toHaveLength(1);
  });
});

describe('a snapshot of the index', () => {
  test('is what the index was, however it changes meanwhile', () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = testRandom(`snapshot ${seed}`);
      const index = new KeyIndex();
      const mutate = (n: number): void => {
        const key = keyOf(random.below(300));
        switch (random.below(4)) {
          case 0: index.remove(key); break;
          case 1: index.setPromised(key, ballot(n)); break;
          case 2: index.setBodyAt(key, n); break;
          default: index.setAccepted(key, { ...NOTHING_ACCEPTED, accepted: ballot(n), kind: 'object', recordAt: n, bodyId: bodyId(n), bodyAt: n });
        }
      };
      const entries = (): Map<number, string> => {
        const all = new Map<number, string>();
        for (let bucket = index.nextBucket(0); bucket < 65_536; bucket = index.nextBucket(bucket + 1)) {
          const found = index.entriesOf(bucket);
          if (found.length > 0) all.set(bucket, found.toString('hex'));
        }
        return all;
      };
      for (let n = 1; n < 400; n++) mutate(n);
      const wanted = entries();
      const copied = new Map<number, string>();
      const snapshot = new IndexSnapshot(index, (bucket, found) => {
        expect(copied.has(bucket)).toBe(false);
        copied.set(bucket, found.toString('hex'));
      });
      for (let n = 1000; snapshot.advance(500) === 'more'; n += 10) for (let i = 0; i < 10; i++) mutate(n + i);
      for (let n = 5000; n < 5100; n++) mutate(n);
      expect(copied).toEqual(wanted);
      expect(entries()).not.toEqual(wanted);
    }
  });
});
