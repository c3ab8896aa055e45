/**
 * The bytes of checkpoint format version 1, and of the log records of compaction, for ever: what this version wrote is read
 * back, the same state still makes the same bytes, and what a newer version wrote is refused, not passed over.
 */
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import type { ClusterId } from '../../src/domain/ids.ts';
import type { Layout } from '../../src/domain/layout.ts';
import type { Position } from '../../src/domain/ring-position.ts';
import { BinaryReader } from '../../src/encoding/binary-reader.ts';
import { BinaryWriter } from '../../src/encoding/binary-writer.ts';
import type { SimDisk } from '../../src/sim/sim-disk.ts';
import { readLogRecord, recordType, writeLogRecord, type LogRecord } from '../../src/storage/log-record.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { dumpOf } from '../unit/storage/store-dump.ts';
import { arc, ballot, bodyId, DIRECTORY, keyAt, liveRecord, node, opened, openStore, tombstone } from '../unit/storage/store-fixture.ts';
import { testSimDisk } from '../unit/storage/test-disk.ts';

const GOLDEN = path.join(import.meta.dirname, 'checkpoint-v1.json');
interface Golden {
  /** File name below the directory -> hex, without the zeros at its end. */
  readonly files: Readonly<Record<string, string>>;
  readonly records: Readonly<Record<string, string>>;
}
const golden = (): Golden => JSON.parse(readFileSync(GOLDEN, 'utf8')) as Golden;
/** Large enough that only the stop writes a checkpoint. */
const OPTIONS = { recordCacheBytes: 0, bodyCacheBytes: 0, upkeep: { checkpointBytes: 16_000, liveShareMin: 0.5, bytesPerSecond: Infinity } };

const layout: Layout = {
  clusterId: node(1) as string as ClusterId, epoch: 3, keyBits: 48, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1,
  members: [{ nodeId: node(1), name: '127.0.0.1:7001', advertise: 'a.example:7001', tokens: [100 as Position], zone: 'z1', weight: 1, state: 'member' }],
  voters: [node(1)], recoveries: [], phase: 'stable', arcs: [{ end: 100 as Position, old: [], new: [node(1)], since: new Map([[node(1), 2]]) }],
};

async function writeEverything(store: ObjectStore): Promise<void> {
  await store.savePromisedFounder(node(1));
  await store.adoptLayout(layout, []);
  await store.saveSlot({ promised: ballot(3), accepted: null });
  await store.saveCaught(3, new Set([100 as Position]));
  store.remember(node(2), 4, 12_345);
  await store.promise(keyAt(1), 'käse.txt', ballot(10), { bodyId: bodyId(1), bytes: Buffer.from('one') });
  await store.accept(keyAt(1), 'käse.txt', ballot(10), liveRecord(ballot(10), bodyId(1), 3));
  await store.accept(keyAt(2 ** 40), 'gone', ballot(11, 2, 2), tombstone(ballot(11)));
  await store.promise(keyAt(2 ** 40, 1), 'promised', ballot(12), null);
  await store.stage(keyAt(3), bodyId(3), Buffer.from('staged'));
  await store.raiseFloor(arc(2 ** 33, 2 ** 40), ballot(9));
}

const MOVES: readonly LogRecord[] = [
  { kind: 'move-record', key: keyAt(1), name: 'käse.txt', ballot: ballot(10), from: 1234, record: liveRecord(ballot(10), bodyId(1), 3) },
  { kind: 'move-body', key: keyAt(1), bodyId: bodyId(1), from: 99 },
  { kind: 'move-body', key: null, bodyId: bodyId(3), from: 2 ** 40 },
];

function encoded(record: LogRecord): string {
  const writer = new BinaryWriter();
  writeLogRecord(writer, record);
  return writer.finish().toString('hex');
}

async function goldenDisk(): Promise<SimDisk> {
  const disk = testSimDisk('golden checkpoint');
  const door = disk.boot();
  await door.makeDirectory(`${DIRECTORY}/log`);
  for (const [name, hex] of Object.entries(golden().files)) {
    const file = await door.open(`${DIRECTORY}/${name}`, 'create');
    await file.write(0, [Buffer.from(hex, 'hex')]);
    await file.sync();
  }
  await door.syncDirectory(DIRECTORY);
  await door.syncDirectory(`${DIRECTORY}/log`);
  return disk;
}

const checkpointOf = (disk: SimDisk): string => [...disk.snapshot().keys()].find((file) => file.endsWith('.ckpt')) ?? '';

async function writtenDisk(): Promise<{ disk: SimDisk; dump: unknown }> {
  const disk = testSimDisk('golden checkpoint');
  const store = await opened(disk.boot(), OPTIONS);
  await writeEverything(store);
  const dump = await dumpOf(store, [{ key: keyAt(3), bodyId: bodyId(3) }]);
  await store.close();
  return { disk, dump };
}

describe('checkpoint format version 1', () => {
  test('what was written then is read now, with nothing left to repeat', async () => {
    const { dump } = await writtenDisk();
    const store = await opened((await goldenDisk()).boot(), OPTIONS);
    expect(await dumpOf(store, [{ key: keyAt(3), bodyId: bodyId(3) }])).toEqual(dump);
    expect(store.upkeep().sinceCheckpointBytes).toBe(0);
  });

  test('the same state makes the same bytes', async () => {
    const { disk } = await writtenDisk();
    const files = Object.fromEntries(
      [...disk.snapshot()].map(([file, bytes]) => [file.slice(DIRECTORY.length + 1), file.endsWith('.seg') ? bytes.toString('hex').replace(/(00)+$/, '') : bytes.toString('hex')]),
    );
    expect(files).toEqual(golden().files);
    expect(Object.keys(files).some((name) => name.endsWith('.ckpt'))).toBe(true);
  });

  test('records of compaction have the same bytes, and are read back', () => {
    expect(Object.fromEntries(MOVES.map((record, i) => [`${i} ${recordType(record.kind)}`, encoded(record)]))).toEqual(golden().records);
    for (const record of MOVES) expect(readLogRecord(recordType(record.kind), new BinaryReader(Buffer.from(encoded(record), 'hex')))).toEqual(record);
  });

  test('of a newer version is refused, also when the log could be repeated without it', async () => {
    const disk = await goldenDisk();
    const door = disk.boot();
    const salt = Buffer.from((JSON.parse((disk.snapshot().get(`${DIRECTORY}/node.json`) ?? Buffer.alloc(0)).toString('utf8').split('\n')[0] ?? '') as { logSalt: string }).logSalt, 'hex');
    const file = await door.open(checkpointOf(disk), 'update');
    const header = await file.read(0, 64);
    header.writeUInt32BE(2, 12);
    header.writeUInt32BE(crc32(header.subarray(12), crc32(salt)), 8);
    await file.write(0, [header]);
    await file.close();
    expect(await openStore(door, OPTIONS)).toEqual({ kind: 'newer', version: 2 });
  });
});
