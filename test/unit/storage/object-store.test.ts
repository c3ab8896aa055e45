import { describe, expect, test } from '@jest/globals';
import { ZERO_BALLOT } from '../../../src/domain/ballot.ts';
import type { ClusterId } from '../../../src/domain/ids.ts';
import type { Layout } from '../../../src/domain/layout.ts';
import { INLINE_BODY_BYTES_MAX, STAGING_TTL_MS } from '../../../src/domain/limits.ts';
import type { Position } from '../../../src/domain/ring-position.ts';
import { readIdentity, writeIdentity } from '../../../src/storage/identity-file.ts';
import { BATCH_BYTES_MAX } from '../../../src/storage/log-format.ts';
import type { ObjectStore } from '../../../src/storage/object-store.ts';
import { arc, ballot, bodyId, DIRECTORY, keyAt, liveRecord, node, opened, openStore, tombstone } from './store-fixture.ts';
import { testClock, testRandom, testSimDisk } from './test-disk.ts';

const key = keyAt(0x123456789abc, 7);
const body = Buffer.from('the body of an object');

async function put(store: ObjectStore, at = key, n = 1, bytes = body): Promise<void> {
  await store.promise(at, `name ${n}`, ballot(n), { bodyId: bodyId(n), bytes });
  await store.accept(at, `name ${n}`, ballot(n), liveRecord(ballot(n), bodyId(n), bytes.length));
}

function layoutOf(epoch: number): Layout {
  const member = { nodeId: node(1), name: 'a:1', advertise: 'a:1', tokens: [5 as Position], zone: '', weight: 1, state: 'member' as const };
  return {
    clusterId: node(9) as string as ClusterId, epoch, keyBits: 48, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1, members: [member],
    voters: [node(1)], phase: 'stable', arcs: [{ end: 5 as Position, old: [node(1)], new: [node(1)], since: new Map([[node(1), epoch]]) }], recoveries: [],
  };
}

/** The store before and after a restart on the same disk, without a crash. */
async function restarted(store: ObjectStore, disk: ReturnType<typeof testSimDisk>): Promise<ObjectStore> {
  await store.close();
  return opened(disk.boot());
}

describe('registers', () => {
  test('a key that was never seen has no head', async () => {
    const store = await opened(testSimDisk('1').boot());
    expect(store.head(key)).toBeNull();
    expect(store.floor(key)).toEqual(ZERO_BALLOT);
  });

  test('a change is seen at once, before it is durable', async () => {
    const store = await opened(testSimDisk('1').boot());
    const done = store.promise(key, 'n', ballot(5), { bodyId: bodyId(1), bytes: body });
    expect(store.head(key)).toMatchObject({ promised: ballot(5), accepted: ZERO_BALLOT, kind: 'none', bodyId: null });
    expect(store.holdsBody(key, bodyId(1))).toBe(true);
    expect(store.durablePosition()).toBe(0);
    await done;
    expect(store.durablePosition()).toBeGreaterThan(0);
  });

  test('what was accepted is read back, before and after a restart', async () => {
    const disk = testSimDisk('1');
    let store = await opened(disk.boot());
    await put(store);
    for (const isRestarted of [false, true]) {
      if (isRestarted) store = await restarted(store, disk);
      const head = store.head(key);
      expect(head).toMatchObject({ promised: ballot(1), accepted: ballot(1), kind: 'object', bodyId: bodyId(1), size: body.length });
      expect(head === null ? null : await store.load(key, head)).toEqual({ name: 'name 1', record: liveRecord(ballot(1), bodyId(1), body.length) });
      expect(await store.readBody(key, bodyId(1), 4, 4)).toEqual({ bytes: Buffer.from('body'), size: body.length });
      expect(await store.readBody(key, bodyId(1), 0, 1000)).toEqual({ bytes: body, size: body.length });
      expect(store.totals()).toMatchObject({ registers: 1, objects: 1, bodyBytes: body.length });
    }
  });

  test('reads go to the disk when the caches hold nothing', async () => {
    const store = await opened(testSimDisk('1').boot(), { recordCacheBytes: 0, bodyCacheBytes: 0 });
    await put(store);
    const head = store.head(key);
    expect(head === null ? null : (await store.load(key, head))?.name).toBe('name 1');
    expect((await store.readBody(key, bodyId(1), 0, 100))?.bytes).toEqual(body);
  });

  test('an empty body is held too', async () => {
    const store = await opened(testSimDisk('1').boot(), { bodyCacheBytes: 0 });
    await put(store, key, 1, Buffer.alloc(0));
    expect(store.holdsBody(key, bodyId(1))).toBe(true);
    expect(await store.readBody(key, bodyId(1), 0, 10)).toEqual({ bytes: Buffer.alloc(0), size: 0 });
  });

  test('a tombstone replaces an object, whose body is no longer held', async () => {
    const disk = testSimDisk('1');
    let store = await opened(disk.boot());
    await put(store);
    await store.promise(key, 'name 1', ballot(2), null);
    await store.accept(key, 'name 1', ballot(2), tombstone(ballot(2)));
    store = await restarted(store, disk);
    expect(store.head(key)).toMatchObject({ kind: 'tombstone', accepted: ballot(2), bodyId: null, size: 0 });
    expect(store.holdsBody(key, bodyId(1))).toBe(false);
    expect(await store.readBody(key, bodyId(1), 0, 10)).toBeNull();
    expect(store.totals()).toMatchObject({ registers: 1, objects: 0, bodyBytes: 0 });
  });

  test('a record accepted again under a higher ballot keeps its body', async () => {
    const disk = testSimDisk('1');
    let store = await opened(disk.boot());
    await put(store);
    await store.accept(key, 'name 1', ballot(8), liveRecord(ballot(1), bodyId(1), body.length));
    store = await restarted(store, disk);
    expect(store.head(key)).toMatchObject({ accepted: ballot(8) });
    expect((await store.readBody(key, bodyId(1), 0, 100))?.bytes).toEqual(body);
  });

  test('a record accepted without its body says that the body is missing until it is staged', async () => {
    const store = await opened(testSimDisk('1').boot());
    await store.accept(key, 'n', ballot(1), liveRecord(ballot(1), bodyId(1), body.length));
    expect(store.holdsBody(key, bodyId(1))).toBe(false);
    await store.stage(key, bodyId(1), body);
    expect((await store.readBody(key, bodyId(1), 0, 100))?.bytes).toEqual(body);
  });

  test('a promise never falls', async () => {
    const store = await opened(testSimDisk('1').boot());
    await store.promise(key, 'n', ballot(5), null);
    await store.promise(key, 'n', ballot(3), null);
    expect(store.head(key)?.promised).toEqual(ballot(5));
  });

  test('staged bodies survive a restart and end after their time to live', async () => {
    const disk = testSimDisk('1');
    const clock = testClock();
    let store = await opened(disk.boot());
    await store.stage(key, bodyId(1), body);
    await store.close();
    store = await opened(disk.boot(), {}, { clock });
    clock.advance(STAGING_TTL_MS - 1);
    expect(store.holdsBody(key, bodyId(1))).toBe(true);
    clock.advance(1);
    expect(store.holdsBody(key, bodyId(1))).toBe(false);
  });

  test('at most so many staged bodies are kept, the newest ones', async () => {
    const store = await opened(testSimDisk('1').boot(), { stagedBodiesMax: 2 });
    for (const n of [1, 2, 3]) await store.stage(key, bodyId(n), body);
    expect([1, 2, 3].map((n) => store.holdsBody(key, bodyId(n)))).toEqual([false, true, true]);
  });

  test('settled waits for changes of its own key only', async () => {
    const store = await opened(testSimDisk('1').boot());
    const order: string[] = [];
    const done = store.promise(key, 'n', ballot(1), null).then(() => order.push('durable'));
    const settled = store.settled(key).then(() => order.push('settled'));
    await store.settled(keyAt(1));
    order.push('other');
    await Promise.all([done, settled, store.flushed()]);
    expect(order).toEqual(['other', 'durable', 'settled']);
  });

  test('what can not be stored is refused and leaves nothing behind', async () => {
    const disk = testSimDisk('1');
    let store = await opened(disk.boot());
    const first = store.promise(key, 'n', ballot(1), null);
    await expect(store.promise(key, 'x'.repeat(2000), ballot(2), null)).rejects.toThrow(RangeError);
    await expect(store.promise(key, 'n', ballot(2, 2 ** 40), null)).rejects.toThrow(RangeError);
    await expect(store.stage(key, 'no hex' as never, body)).rejects.toThrow(RangeError);
    await first;
    store = await restarted(store, disk);
    expect(store.head(key)?.promised).toEqual(ballot(1));
  });

  test('bodies beyond what may wait for the disk are refused as overload, and nothing of them is left behind', async () => {
    const disk = testSimDisk('1');
    let store = await opened(disk.boot());
    const bytes = Buffer.alloc(INLINE_BODY_BYTES_MAX);
    const count = BATCH_BYTES_MAX / INLINE_BODY_BYTES_MAX + 10;
    const outcomes = await Promise.allSettled(Array.from({ length: count }, (_, i) => store.promise(keyAt(i + 1), 'n', ballot(1), { bodyId: bodyId(i + 1), bytes })));
    const refused = outcomes.flatMap((outcome, i) => (outcome.status === 'rejected' ? [{ i, reason: outcome.reason as unknown }] : []));
    expect(refused.length).toBeGreaterThan(9);
    expect(refused.length).toBeLessThan(20);
    for (const { reason } of refused) expect(reason).toMatchObject({ name: 'DhtError', code: 'DHT_ERR_OVERLOADED' });
    await store.promise(keyAt(5000), 'n', ballot(1), { bodyId: bodyId(5000), bytes });
    store = await restarted(store, disk);
    for (const { i } of refused) expect(store.head(keyAt(i + 1))).toBe(null);
    expect(store.head(keyAt(5000))?.promised).toEqual(ballot(1));
  });

  test('erasing forgets a tombstone and raises the floor of its bucket, both after a restart too, and leaves everything else', async () => {
    const disk = testSimDisk('1');
    let store = await opened(disk.boot());
    for (const [i, record] of [tombstone(ballot(1)), tombstone(ballot(2)), tombstone(ballot(3))].entries()) {
      await store.accept(keyAt(i * 2 ** 32), `n${i}`, record.version, record);
    }
    await store.promise(keyAt(2 ** 32), 'n1', ballot(9), null);
    await put(store, keyAt(3 * 2 ** 32), 4);
    expect(store.totals()).toMatchObject({ registers: 4, objects: 1, tombstones: 3 });
    const erased = await store.erase([
      { key: keyAt(0), ballot: ballot(1) },
      { key: keyAt(2 ** 32), ballot: ballot(2) },
      { key: keyAt(2 * 2 ** 32), ballot: ballot(2) },
      { key: keyAt(3 * 2 ** 32), ballot: ballot(4) },
      { key: keyAt(4 * 2 ** 32), ballot: ballot(5) },
    ]);
    expect(erased).toBe(1);
    for (const _ of [1, 2]) {
      expect([0, 1, 2, 3].map((i) => store.head(keyAt(i * 2 ** 32))?.kind)).toEqual([undefined, 'tombstone', 'tombstone', 'object']);
      expect([store.floor(keyAt(0)), store.floor(keyAt(7)), store.floor(keyAt(2 ** 32)), store.floor(keyAt(4 * 2 ** 32))])
        .toEqual([ballot(1), ballot(1), ZERO_BALLOT, ZERO_BALLOT]);
      expect(store.totals()).toMatchObject({ registers: 3, objects: 1, tombstones: 2 });
      expect(store.scanNames('n0', null, 1).entries).toEqual([]);
      store = await restarted(store, disk);
    }
  });

  test('tombstones are found a few registers at a time', async () => {
    const store = await opened(testSimDisk('1').boot());
    for (const i of [0, 1, 2, 3, 4, 5]) {
      if (i % 3 === 1) await store.accept(keyAt(i), `n${i}`, ballot(i), tombstone(ballot(i)));
      else await put(store, keyAt(i), i + 1);
    }
    const first = store.scanTombstones(arc(0xffffffffffff, 0xffffffffffff), null, 4);
    expect(first).toEqual({ entries: [{ key: keyAt(1), accepted: ballot(1), version: ballot(1) }], next: keyAt(3) });
    const second = store.scanTombstones(arc(0xffffffffffff, 0xffffffffffff), first.next, 4);
    expect(second).toEqual({ entries: [{ key: keyAt(4), accepted: ballot(4), version: ballot(4) }], next: null });
  });

  test('releasing drops a register only while it is still the same', async () => {
    const disk = testSimDisk('1');
    let store = await opened(disk.boot());
    await put(store, keyAt(1), 1);
    await put(store, keyAt(2), 2);
    await store.release([{ key: keyAt(1), accepted: ballot(1) }, { key: keyAt(2), accepted: ballot(1) }]);
    store = await restarted(store, disk);
    expect(store.head(keyAt(1))).toBeNull();
    expect(store.head(keyAt(2))).not.toBeNull();
  });
});

describe('arcs', () => {
  const positions = [0, 1, 0x0000ffffffff, 0x000100000000, 0x800000000000, 0xffffffffffff];

  test('a scan goes clockwise from the arc and over 0, in pages', async () => {
    const store = await opened(testSimDisk('1').boot());
    for (const position of positions) await store.promise(keyAt(position), 'n', ballot(1), null);
    const scanned = (from: number, to: number, limit: number): number[] => {
      const found: number[] = [];
      for (let after = null as ReturnType<typeof keyAt> | null, isLast = false; !isLast; ) {
        const page = store.scan(arc(from, to), after, limit);
        found.push(...page.entries.map((entry) => parseInt(entry.key.slice(0, 12), 16)));
        after = page.entries.at(-1)?.key ?? after;
        isLast = page.isLast;
      }
      return found;
    };
    for (const limit of [1, 2, 100]) {
      expect(scanned(0, 0x000100000000, limit)).toEqual([1, 0x0000ffffffff, 0x000100000000]);
      expect(scanned(0x000100000000, 1, limit)).toEqual([0x800000000000, 0xffffffffffff, 0, 1]);
      expect(scanned(1, 1, limit)).toEqual([0x0000ffffffff, 0x000100000000, 0x800000000000, 0xffffffffffff, 0, 1]);
      expect(scanned(0xffffffffffff, 0xffffffffffff, limit)).toEqual(positions);
      expect(scanned(2, 3, limit)).toEqual([]);
    }
  });

  test('keys of one position are scanned in the order of their hashes', async () => {
    const store = await opened(testSimDisk('1').boot(), { keyBits: 8 });
    const keys = Array.from({ length: 50 }, (_, i) => keyAt(200, (i * 7919) % 1000, 8));
    for (const one of keys) await store.promise(one, 'n', ballot(1), null);
    expect(store.scan(arc(199, 200), null, 100).entries.map((entry) => entry.key)).toEqual(keys.toSorted());
    expect(store.scan(arc(200, 199), null, 100).entries).toEqual([]);
  });

  test('a floor covers the buckets that its arc touches', async () => {
    const disk = testSimDisk('1');
    let store = await opened(disk.boot());
    await store.raiseFloor(arc(0x0001ffffffff, 0x000300000000), ballot(9));
    await store.raiseFloor(arc(0x0001ffffffff, 0x000300000000), ballot(4));
    store = await restarted(store, disk);
    const floors = [0x0001, 0x0002, 0x0003, 0x0004].map((bucket) => store.floor(keyAt(bucket * 2 ** 32)).hlc);
    expect(floors).toEqual([0, 9, 9, 0]);
    expect(store.floorOf(arc(0x0003ffffffff, 0x0001ffffffff))).toEqual(ZERO_BALLOT);
    expect(store.floorOf(arc(0x000300000000, 0x000300000001))).toEqual(ballot(9));
  });

  test('adopting a layout discards registers of the arcs, floors of whole buckets, and keeps bodies as a cache', async () => {
    const disk = testSimDisk('1');
    let store = await opened(disk.boot());
    const inside = keyAt(0x0002_0000_0005);
    const outside = keyAt(0x0003_8000_0000);
    await put(store, inside, 1);
    await put(store, outside, 2);
    await store.raiseFloor(arc(0, 0), ballot(7));
    await store.saveSlot({ promised: ballot(3), accepted: { ballot: ballot(3), value: layoutOf(2) } });
    await store.adoptLayout(layoutOf(1), [arc(0x0001ffffffff, 0x00020fffffff), arc(0x00020fffffff, 0x00037fffffff)]);
    store = await restarted(store, disk);
    expect(store.head(inside)).toBeNull();
    expect(store.head(outside)).not.toBeNull();
    expect([0x0001, 0x0002, 0x0003].map((bucket) => store.floor(keyAt(bucket * 2 ** 32)).hlc)).toEqual([7, 0, 7]);
    expect((await store.readBody(inside, bodyId(1), 0, 100))?.bytes).toEqual(body);
    expect(store.layout()).toEqual(layoutOf(1));
    expect(store.slot()).toEqual({ promised: ZERO_BALLOT, accepted: null });
  });
});

describe('node state', () => {
  test('all of it is there after a restart, and the boot counts on', async () => {
    const disk = testSimDisk('1');
    const before = await opened(disk.boot());
    await before.savePromisedFounder(node(4));
    await before.adoptLayout(layoutOf(1), []);
    await before.saveSlot({ promised: ballot(5), accepted: { ballot: ballot(5), value: layoutOf(2) } });
    before.remember(node(2), 3, 1000);
    before.remember(node(2), 2, 9000);
    await before.saveCaught(1, new Set([5 as Position]));
    await before.saveCaught(0, new Set([6 as Position]));
    const store = await restarted(before, disk);
    expect(store.promisedFounder()).toBe(node(4));
    expect(store.layout()).toEqual(layoutOf(1));
    expect(store.slot()).toEqual({ promised: ballot(5), accepted: { ballot: ballot(5), value: layoutOf(2) } });
    expect(store.remembered(node(2))).toEqual({ boot: 3, position: 1000 });
    expect(store.caught()).toEqual(new Set([5]));
    expect(store.nodeId).toBe(before.nodeId);
    expect([before.incarnation, store.incarnation]).toEqual([1, 2]);
    expect(store.recoveredPosition).toBe(before.durablePosition());
  });

  test('abandoning forgets the layout of that cluster only', async () => {
    const store = await opened(testSimDisk('1').boot());
    await store.adoptLayout(layoutOf(1), []);
    await store.abandonLayout(node(8) as string as ClusterId);
    expect(store.layout()).not.toBeNull();
    await store.abandonLayout(layoutOf(1).clusterId);
    expect(store.layout()).toBeNull();
  });
});

describe('opening', () => {
  test('refuses the directory of another node, of another M, and one in use', async () => {
    const disk = testSimDisk('1');
    const door = disk.boot();
    const store = await opened(door);
    expect(await openStore(door)).toEqual({ kind: 'in-use' });
    await store.close();
    expect(await openStore(door, { name: 'other:1' })).toEqual({ kind: 'foreign', name: '127.0.0.1:7001', keyBits: 48 });
    expect(await openStore(door, { keyBits: 16 })).toEqual({ kind: 'foreign', name: '127.0.0.1:7001', keyBits: 48 });
    expect((await openStore(door)).kind).toBe('opened');
  });

  test('an empty disk makes a new node', async () => {
    const disk = testSimDisk('1');
    const store = await opened(disk.boot());
    await store.close();
    disk.wipe();
    expect((await opened(disk.boot(), {}, { random: testRandom('other') })).nodeId).not.toBe(store.nodeId);
  });

  test('never starts empty when the identity is gone but the log is not', async () => {
    const disk = testSimDisk('1');
    const store = await opened(disk.boot());
    await put(store);
    await store.close();
    const door = disk.boot();
    await door.remove(`${DIRECTORY}/node.json`);
    expect(await openStore(door)).toMatchObject({ kind: 'damaged', file: `${DIRECTORY}/node.json` });
  });

  test.each(['at once', 'after another start'])('never starts empty when the log is gone but the identity is not: %s', async (when) => {
    const disk = testSimDisk('1');
    let store = await opened(disk.boot());
    await put(store);
    await store.close();
    if (when === 'after another start') {
      store = await opened(disk.boot());
      await store.close();
    }
    const door = disk.boot();
    for (const path of [...disk.snapshot().keys()].filter((path) => path.startsWith(`${DIRECTORY}/log/`))) await door.remove(path);
    await door.syncDirectory(`${DIRECTORY}/log`);
    expect(await openStore(door)).toMatchObject({ kind: 'damaged', file: `${DIRECTORY}/log`, nodeId: store.nodeId });
  });

  test('an identity of a version that left no mark of its log opens, and gets one', async () => {
    const disk = testSimDisk('1');
    const store = await opened(disk.boot());
    await put(store);
    await store.close();
    const door = disk.boot();
    const found = await readIdentity(door, DIRECTORY);
    if (found.kind !== 'identity') throw new Error(found.kind);
    expect(found.identity.hasLog).toBe(true);
    await writeIdentity(door, DIRECTORY, { ...found.identity, hasLog: false });
    const again = await opened(disk.boot());
    expect(again.head(key)?.kind).toBe('object');
    await again.close();
    expect(await readIdentity(disk.boot(), DIRECTORY)).toMatchObject({ identity: { hasLog: true, nodeId: store.nodeId } });
  });

  test('a start that ended before anything was stored is no damage', async () => {
    const disk = testSimDisk('1');
    const store = await opened(disk.boot());
    await store.close();
    const again = await opened(disk.boot());
    expect(again.nodeId).toBe(store.nodeId);
    await put(again);
    await again.close();
    expect((await openStore(disk.boot())).kind).toBe('opened');
  });

  test('a missing segment is damage', async () => {
    const disk = testSimDisk('1');
    const store = await opened(disk.boot(), { segmentBytes: 200 });
    for (const n of [1, 2, 3]) await put(store, keyAt(n), n);
    await store.close();
    const door = disk.boot();
    await door.remove(`${DIRECTORY}/log/000002.seg`);
    expect(await openStore(door)).toMatchObject({ kind: 'damaged', detail: 'segment 2 is missing' });
  });

  test('a directory of a newer format is refused', async () => {
    const disk = testSimDisk('1');
    const door = disk.boot();
    await (await opened(door)).close();
    const file = await door.open(`${DIRECTORY}/node.json`, 'update');
    await file.write(0, [Buffer.from('{"format":2}\n')]);
    await file.truncate(13);
    await file.close();
    expect(await openStore(door)).toEqual({ kind: 'newer', version: 2 });
  });
});

describe('a disk that fails', () => {
  test.each(['EIO', 'EROFS'])('a failed sync (%s) rejects all that is pending, is told once and refuses later work', async (code) => {
    const failures: unknown[] = [];
    const disk = testSimDisk('1');
    const store = await opened(disk.boot(), {}, { onFailure: (error) => failures.push(error) });
    await put(store);
    disk.failNext(code === 'EIO' ? 'sync' : 'write', code);
    const position = store.durablePosition();
    const first = store.promise(key, 'n', ballot(2), null);
    const second = store.promise(keyAt(1), 'n', ballot(2), null);
    await expect(first).rejects.toThrow('failed to keep a write');
    await expect(second).rejects.toThrow('failed to keep a write');
    await expect(store.promise(keyAt(2), 'n', ballot(2), null)).rejects.toThrow('failed to keep a write');
    await expect(store.settled(key)).rejects.toThrow('failed to keep a write');
    await expect(store.flushed()).rejects.toThrow('failed to keep a write');
    expect(failures).toMatchObject([{ code }]);
    expect(store.durablePosition()).toBe(position);
    expect(store.head(keyAt(2))).toBeNull();
  });
});
