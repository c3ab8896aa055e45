/**
 * The bytes of storage format version 1, for ever: a directory that this version wrote is read back, and the same changes
 * still make the same bytes. When a format changes, its version grows and this file stays.
 */
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ZERO_BALLOT } from '../../src/domain/ballot.ts';
import type { ClusterId } from '../../src/domain/ids.ts';
import type { Layout } from '../../src/domain/layout.ts';
import type { Position } from '../../src/domain/ring-position.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { arc, ballot, bodyId, DIRECTORY, keyAt, liveRecord, node, opened, tombstone } from '../unit/storage/store-fixture.ts';
import { testSimDisk } from '../unit/storage/test-disk.ts';

const GOLDEN = path.join(import.meta.dirname, 'store-v1.json');
/** File name below the directory -> hex, without the zeros at its end. */
const golden = (): Readonly<Record<string, string>> => JSON.parse(readFileSync(GOLDEN, 'utf8')) as Record<string, string>;

const layoutOf = (epoch: number): Layout => ({
  clusterId: node(1) as string as ClusterId, epoch, keyBits: 48, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1,
  members: [
    { nodeId: node(1), name: '127.0.0.1:7001', advertise: 'a.example:7001', tokens: [100 as Position], zone: 'z1', weight: 1, state: 'member' },
    { nodeId: node(2), name: '127.0.0.1:7002', advertise: 'b.example:7002', tokens: [200 as Position], zone: '', weight: 0.5, state: 'joining' },
  ],
  voters: [node(1)],
  phase: 'moving',
  arcs: [
    { end: 100 as Position, old: [node(1)], new: [node(1), node(2)], since: new Map([[node(2), epoch]]) },
    { end: 200 as Position, old: [node(1)], new: [node(2), node(1)], since: new Map() },
  ],
  recoveries: [],
});

/** Every type of log record, the bodies inline and of length 0. */
async function writeEverything(store: ObjectStore): Promise<void> {
  await store.savePromisedFounder(node(1));
  await store.adoptLayout(layoutOf(1), [arc(100, 200)]);
  await store.saveSlot({ promised: ballot(3), accepted: { ballot: ballot(3), value: layoutOf(2) } });
  await store.saveCaught(1, new Set([100 as Position, 200 as Position]));
  store.remember(node(2), 4, 12_345);
  await store.promise(keyAt(1), 'käse.txt', ballot(10), { bodyId: bodyId(1), bytes: Buffer.from('one') });
  await store.accept(keyAt(1), 'käse.txt', ballot(10), liveRecord(ballot(10), bodyId(1), 3));
  await Promise.all([store.promise(keyAt(2), 'gone', ballot(11), null), store.accept(keyAt(2), 'gone', ballot(11), tombstone(ballot(11)))]);
  await store.stage(keyAt(3), bodyId(3), Buffer.alloc(0));
  await store.raiseFloor(arc(0, 2 ** 32), ballot(9));
  await store.promise(keyAt(4), 'left', ballot(12), null);
  await store.release([{ key: keyAt(4), accepted: ZERO_BALLOT }]);
  await store.abandonLayout(node(7) as string as ClusterId);
  await store.accept(keyAt(5), 'erased', ballot(13), tombstone(ballot(13)));
  await store.erase([{ key: keyAt(5), ballot: ballot(13) }]);
}

describe('storage format version 1', () => {
  test('what was written then is read now', async () => {
    const disk = testSimDisk('golden').boot();
    await disk.makeDirectory(`${DIRECTORY}/log`);
    for (const [name, hex] of Object.entries(golden())) {
      const file = await disk.open(`${DIRECTORY}/${name}`, 'create');
      await file.write(0, [Buffer.from(hex, 'hex')]);
      await file.close();
    }
    const store = await opened(disk, { recordCacheBytes: 0, bodyCacheBytes: 0 });
    expect(store.incarnation).toBe(2);
    expect(store.promisedFounder()).toBe(node(1));
    expect(store.layout()).toEqual(layoutOf(1));
    expect(store.slot()).toEqual({ promised: ballot(3), accepted: { ballot: ballot(3), value: layoutOf(2) } });
    expect(store.caught()).toEqual(new Set([100, 200]));
    expect(store.remembered(node(2))).toEqual({ boot: 4, position: 12_345 });
    expect(store.floor(keyAt(2 ** 32))).toEqual(ballot(9));
    expect(store.floor(keyAt(5))).toEqual(ballot(13));
    expect(store.head(keyAt(5))).toBe(null);
    expect(store.totals()).toMatchObject({ registers: 2, objects: 1, bodyBytes: 3 });
    for (const [key, name, record] of [[keyAt(1), 'käse.txt', liveRecord(ballot(10), bodyId(1), 3)], [keyAt(2), 'gone', tombstone(ballot(11))]] as const) {
      const head = store.head(key);
      expect(head === null ? null : await store.load(key, head)).toEqual({ name, record });
    }
    expect(await store.readBody(keyAt(1), bodyId(1), 0, 10)).toEqual({ bytes: Buffer.from('one'), size: 3 });
    expect(store.holdsBody(keyAt(3), bodyId(3))).toBe(true);
  });

  test('the same changes make the same bytes', async () => {
    const disk = testSimDisk('golden');
    const store = await opened(disk.boot());
    await writeEverything(store);
    await store.close();
    const written = Object.fromEntries(
      [...disk.snapshot()].map(([file, bytes]) => [file.slice(DIRECTORY.length + 1), bytes.toString('hex').replace(/(00)+$/, '')]),
    );
    expect(written).toEqual(Object.fromEntries(Object.entries(golden()).map(([name, hex]) => [name, hex.replace(/(00)+$/, '')])));
  });
});
