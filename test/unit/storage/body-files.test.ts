import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { BODY_LIMITS } from '../../../src/domain/body-limits.ts';
import type { BodyId } from '../../../src/domain/ids.ts';
import type { ObjectKey } from '../../../src/domain/ring-position.ts';
import type { LiveRecord } from '../../../src/domain/stored-object.ts';
import type { Disk } from '../../../src/ports/disk.ts';
import { SUM_BYTES } from '../../../src/storage/body-format.ts';
import type { ObjectStore } from '../../../src/storage/object-store.ts';
import type { BodyWriter } from '../../../src/storage/register-store.ts';
import { arc, ballot, bodyId, DIRECTORY, keyAt, liveRecord, node, opened, tombstone } from './store-fixture.ts';
import { testClock, testSimDisk } from './test-disk.ts';

const CHUNK = 1024;
const bodies = { ...BODY_LIMITS, inlineBytesMax: 512, chunkBytes: CHUNK, lagBytesMax: 4096 };
const OPTIONS = { bodies, recordCacheBytes: 0, bodyCacheBytes: 0 };
const key = keyAt(0x123456789abc, 7);

/** Bytes that differ from chunk to chunk and from body to body. */
const bytesOf = (n: number, size: number): Buffer => Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8) * 13 + n) & 255));
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
/** The checksums of its chunks, one after the other. */
function sumsFor(bytes: Buffer): Buffer {
  const sums = Buffer.alloc((bytes.length / CHUNK) * SUM_BYTES);
  for (let i = 0; i * CHUNK < bytes.length; i++) sums.writeUInt32BE(crc32(bytes.subarray(i * CHUNK, (i + 1) * CHUNK)), i * SUM_BYTES);
  return sums;
}

const pathOf = (id: BodyId): string => `${DIRECTORY}/bodies/${id.slice(0, 2)}/${id.slice(2, 4)}/${id}`;

function largeRecord(n: number, bytes: Buffer, version = n): LiveRecord {
  const record = liveRecord(ballot(version), bodyId(n), bytes.length);
  return { ...record, body: { ...record.body, sha256: sha256(bytes), where: 'file' } };
}

async function writerOf(store: ObjectStore, n: number, at: ObjectKey = key): Promise<BodyWriter> {
  const writer = await store.openBody(at, bodyId(n));
  if (typeof writer === 'string') throw new Error(writer);
  return writer;
}

async function appendFrom(writer: BodyWriter, bytes: Buffer, end = bytes.length): Promise<void> {
  for (let at = writer.length; at < end; at += CHUNK) await writer.append(bytes.subarray(at, Math.min(at + CHUNK, end)));
}

async function stageFile(store: ObjectStore, n: number, bytes: Buffer, at: ObjectKey = key): Promise<void> {
  const writer = await writerOf(store, n, at);
  await appendFrom(writer, bytes);
  expect(await writer.finish({ size: bytes.length, sha256: sha256(bytes) })).toBe('held');
}

async function putFile(store: ObjectStore, n: number, bytes: Buffer, at: ObjectKey = key): Promise<void> {
  await stageFile(store, n, bytes, at);
  await store.accept(at, `name ${n}`, ballot(n), largeRecord(n, bytes));
}

const filesUnder = (disk: ReturnType<typeof testSimDisk>, directory: string): string[] =>
  [...disk.snapshot().keys()].filter((path) => path.startsWith(`${DIRECTORY}/${directory}/`)).map((path) => path.slice(DIRECTORY.length + 1));

/** Lets what the store does in the background go on. */
const settle = async (): Promise<void> => { for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve)); };

const sumsOf = (id: BodyId): string => `${DIRECTORY}/staging/${id}.sums`;

/** Adds up what is written to files of checksums. */
function countSums(disk: Disk): () => number {
  let bytes = 0;
  const open = disk.open.bind(disk);
  disk.open = async (path, mode) => {
    const file = await open(path, mode);
    if (!path.endsWith('.sums')) return file;
    const write = file.write.bind(file);
    file.write = (position, chunks) => {
      for (const chunk of chunks) bytes += chunk.length;
      return write(position, chunks);
    };
    return file;
  };
  return () => bytes;
}

/** What a killed process leaves where the power stays on: everything it wrote. */
async function killed(disk: ReturnType<typeof testSimDisk>): Promise<ReturnType<typeof testSimDisk>> {
  const copy = testSimDisk('copy');
  const door = copy.boot();
  for (const [path, content] of disk.snapshot()) {
    const directory = path.slice(0, path.lastIndexOf('/'));
    await door.makeDirectory(directory);
    const file = await door.open(path, 'create');
    await file.write(0, [content]);
    await file.sync();
    await door.syncDirectory(directory);
  }
  return copy;
}

async function damaged(disk: ReturnType<typeof testSimDisk>): Promise<{ store: ObjectStore; damages: string[] }> {
  const damages: string[] = [];
  return { store: await opened(disk.boot(), OPTIONS, { onDamage: (detail) => damages.push(detail) }), damages };
}

describe('a large body', () => {
  test.each([1, CHUNK, CHUNK + 1, 10 * CHUNK, 10 * CHUNK - 1, 0])('of %i bytes is held when it is finished, and after a restart', async (size) => {
    const disk = testSimDisk('1');
    let store = await opened(disk.boot(), OPTIONS);
    const bytes = bytesOf(1, size);
    const writer = await writerOf(store, 1);
    expect(writer.length).toBe(0);
    await appendFrom(writer, bytes);
    expect(store.holdsBody(key, bodyId(1))).toBe(false);
    expect(await store.readBody(key, bodyId(1), 0, size)).toBeNull();
    expect(await writer.finish({ size, sha256: sha256(bytes) })).toBe('held');
    for (const isAccepted of [false, true]) {
      if (isAccepted) await store.accept(key, 'n', ballot(1), largeRecord(1, bytes));
      for (const isRestarted of [false, true]) {
        if (isRestarted) {
          await store.close();
          store = await opened(disk.boot(), OPTIONS);
        }
        expect(store.holdsBody(key, bodyId(1))).toBe(true);
        expect(await store.readBody(key, bodyId(1), 0, size + 10)).toEqual({ bytes, size });
      }
    }
    expect(store.totals()).toMatchObject({ objects: 1, bodyBytes: size });
    expect(filesUnder(disk, 'staging')).toEqual([]);
  });

  test('is read in any range', async () => {
    const store = await opened(testSimDisk('1').boot(), OPTIONS);
    const bytes = bytesOf(1, 5 * CHUNK + 100);
    await putFile(store, 1, bytes);
    for (const [offset, length] of [[0, 1], [CHUNK - 1, 2], [CHUNK, CHUNK], [700, 3000], [5 * CHUNK, 1000], [5 * CHUNK + 100, 5], [9 * CHUNK, 5], [0, 0]] as const) {
      expect(await store.readBody(key, bodyId(1), offset, length)).toEqual({ bytes: bytes.subarray(offset, offset + length), size: bytes.length });
    }
  });

  test('is written while chunks are handed over without waiting', async () => {
    const store = await opened(testSimDisk('1').boot(), OPTIONS);
    const bytes = bytesOf(1, 200 * CHUNK + 5);
    const writer = await writerOf(store, 1);
    const appends: Promise<void>[] = [];
    for (let at = 0; at < bytes.length; at += CHUNK) appends.push(writer.append(bytes.subarray(at, at + CHUNK)));
    await Promise.all(appends);
    expect(await writer.finish({ size: bytes.length, sha256: sha256(bytes) })).toBe('held');
    expect((await store.readBody(key, bodyId(1), 0, bytes.length))?.bytes.equals(bytes)).toBe(true);
  });
});

describe('a writer', () => {
  test('drops what is not the announced body', async () => {
    for (const expected of [{ size: 3000, sha256: sha256(bytesOf(2, 3000)) }, { size: 3001, sha256: sha256(bytesOf(1, 3000)) }]) {
      const disk = testSimDisk('1');
      const store = await opened(disk.boot(), OPTIONS);
      const writer = await writerOf(store, 1);
      await appendFrom(writer, bytesOf(1, 3000));
      expect(await writer.finish(expected)).toBe('mismatch');
      expect(store.holdsBody(key, bodyId(1))).toBe(false);
      expect([...filesUnder(disk, 'staging'), ...filesUnder(disk, 'bodies')]).toEqual([]);
      await stageFile(store, 1, bytesOf(1, 3000));
    }
  });

  test('has its body alone until it is done with it', async () => {
    const store = await opened(testSimDisk('1').boot(), OPTIONS);
    const [first, second] = await Promise.all([store.openBody(key, bodyId(1)), store.openBody(key, bodyId(1))]);
    expect(second).toBe('busy');
    expect(typeof (await store.openBody(key, bodyId(2)))).toBe('object');
    if (typeof first === 'string') throw new Error(first);
    await first.abort('drop');
    await first.abort('drop');
    await expect(first.append(Buffer.alloc(10))).rejects.toMatchObject({ code: 'DHT_ERR_CONFLICT' });
    await stageFile(store, 1, bytesOf(1, 100));
  });

  test('that was broken off and kept is gone on with, also after a restart', async () => {
    let disk = testSimDisk('1');
    let store = await opened(disk.boot(), OPTIONS);
    const bytes = bytesOf(1, 20 * CHUNK + 17);
    const writer = await writerOf(store, 1);
    await appendFrom(writer, bytes, 3 * CHUNK);
    await writer.abort('keep');
    const again = await writerOf(store, 1);
    expect(again.length).toBe(3 * CHUNK);
    await appendFrom(again, bytes, 8 * CHUNK);
    await store.close();
    disk = await killed(disk);
    store = await opened(disk.boot(), OPTIONS);
    expect(store.holdsBody(key, bodyId(1))).toBe(false);
    const last = await writerOf(store, 1);
    expect(last.length).toBe(8 * CHUNK);
    await appendFrom(last, bytes);
    expect(await last.finish({ size: bytes.length, sha256: sha256(bytes) })).toBe('held');
    expect((await store.readBody(key, bodyId(1), 0, 1e6))?.bytes.equals(bytes)).toBe(true);
    expect(filesUnder(disk, 'staging')).toEqual([]);
  });

  test('goes on behind the last chunk that is as it was', async () => {
    const disk = testSimDisk('1');
    const store = await opened(disk.boot(), OPTIONS);
    const bytes = bytesOf(1, 9 * CHUNK + 1);
    const writer = await writerOf(store, 1);
    await appendFrom(writer, bytes);
    await writer.abort('keep');
    disk.flipBit(`${DIRECTORY}/staging/${bodyId(1)}`, 5 * CHUNK + 9, 2);
    const again = await writerOf(store, 1);
    expect(again.length).toBe(5 * CHUNK);
    await appendFrom(again, bytes);
    expect(await again.finish({ size: bytes.length, sha256: sha256(bytes) })).toBe('held');
  });

  test('keeps what was synced behind it when the process dies', async () => {
    const disk = testSimDisk('1');
    const store = await opened(disk.boot(), OPTIONS);
    const bytes = bytesOf(1, 300 * CHUNK);
    const writer = await writerOf(store, 1);
    await appendFrom(writer, bytes, 200 * CHUNK);
    await settle();
    const again = await writerOf(await opened((await killed(disk)).boot(), OPTIONS), 1);
    expect(again.length).toBeGreaterThanOrEqual(192 * CHUNK);
    expect(again.length).toBeLessThan(200 * CHUNK);
    await appendFrom(again, bytes);
    expect(await again.finish({ size: bytes.length, sha256: sha256(bytes) })).toBe('held');
  });

  test('writes each checksum once, however long the body is', async () => {
    const disk = testSimDisk('1');
    const door = disk.boot();
    const sumsBytes = countSums(door);
    const store = await opened(door, OPTIONS);
    const bytes = bytesOf(1, 1000 * CHUNK);
    const writer = await writerOf(store, 1);
    await appendFrom(writer, bytes, 650 * CHUNK);
    await settle();
    expect(sumsBytes()).toBeGreaterThanOrEqual(640 * SUM_BYTES);
    expect(sumsBytes()).toBeLessThan(650 * SUM_BYTES);
    await writer.abort('keep');
    expect(sumsBytes()).toBe(650 * SUM_BYTES);
    const again = await writerOf(store, 1);
    expect(again.length).toBe(650 * CHUNK);
    await appendFrom(again, bytes);
    await again.abort('keep');
    expect(sumsBytes()).toBe(1000 * SUM_BYTES);
    expect(disk.snapshot().get(sumsOf(bodyId(1)))).toEqual(sumsFor(bytes));
  });

  test.each(['is behind', 'is gone', 'could not be written'] as const)('completes a file of checksums that %s', async (what) => {
    const disk = testSimDisk('1');
    const door = disk.boot();
    const store = await opened(door, OPTIONS);
    const bytes = bytesOf(1, 300 * CHUNK);
    let writer = await writerOf(store, 1);
    await appendFrom(writer, bytes, 150 * CHUNK);
    await settle();
    if (what === 'is behind') {
      await writer.abort('keep');
      disk.flipBit(`${DIRECTORY}/staging/${bodyId(1)}`, 70 * CHUNK + 9, 2);
      writer = await writerOf(store, 1);
      expect(writer.length).toBe(70 * CHUNK);
      // Their checksums are others than those that the file still has from there on.
      bytes.fill(1, 70 * CHUNK);
    }
    if (what === 'is gone') await door.remove(sumsOf(bodyId(1)));
    if (what === 'could not be written') disk.failNext('write', 'EIO', 0, '.sums');
    const appended = appendFrom(writer, bytes, 290 * CHUNK);
    if (what === 'could not be written') await expect(appended).rejects.toMatchObject({ code: 'DHT_ERR_DISK_FAILED' });
    else await appended;
    const { length } = writer;
    await writer.abort('keep');
    expect(disk.snapshot().get(sumsOf(bodyId(1)))).toEqual(sumsFor(bytes.subarray(0, length)));
    const again = await writerOf(store, 1);
    expect(again.length).toBe(length);
    await appendFrom(again, bytes);
    expect(await again.finish({ size: bytes.length, sha256: sha256(bytes) })).toBe('held');
  });

  test('finds the disk full at its beginning, and on its way', async () => {
    const disk = testSimDisk('1');
    const store = await opened(disk.boot(), OPTIONS);
    const writer = await writerOf(store, 1);
    disk.setCapacity(64 * 2 ** 20);
    expect(await store.openBody(key, bodyId(2))).toBe('full');
    const bytes = bytesOf(1, 100 * CHUNK);
    await expect(appendFrom(writer, bytes)).rejects.toMatchObject({ code: 'DHT_ERR_DISK_FULL' });
    await expect(writer.finish({ size: bytes.length, sha256: sha256(bytes) })).rejects.toMatchObject({ code: 'DHT_ERR_DISK_FULL' });
    await writer.abort('drop');
    expect(filesUnder(disk, 'staging')).toEqual([]);
    await store.accept(key, 'n', ballot(1), tombstone(ballot(1)));
    disk.setCapacity(2 ** 30);
    await stageFile(store, 1, bytes);
  });

  test('makes room on a full disk by giving up what was broken off', async () => {
    const disk = testSimDisk('1');
    const store = await opened(disk.boot(), OPTIONS);
    const writer = await writerOf(store, 1);
    await appendFrom(writer, bytesOf(1, 10 * CHUNK));
    await writer.abort('keep');
    disk.setCapacity(64 * 2 ** 20 + 9 * CHUNK);
    const next = await store.openBody(key, bodyId(2));
    expect(typeof next).toBe('object');
    expect(filesUnder(disk, 'staging')).toEqual([`staging/${bodyId(2)}`]);
  });

  test.each(['write', 'rename', 'open', 'make-directory'] as const)('fails alone when a %s of its own fails', async (operation) => {
    const disk = testSimDisk('1');
    const failures: unknown[] = [];
    const store = await opened(disk.boot(), OPTIONS, { onFailure: (error) => failures.push(error) });
    disk.failNext(operation, 'EIO');
    await expect(stageFile(store, 1, bytesOf(1, 3000))).rejects.toMatchObject({ code: 'DHT_ERR_DISK_FAILED' });
    expect(failures).toEqual([]);
    expect(store.holdsBody(key, bodyId(1))).toBe(false);
    await putFile(store, 2, bytesOf(2, 3000));
    expect((await store.readBody(key, bodyId(2), 0, 3000))?.bytes).toEqual(bytesOf(2, 3000));
  });

  test.each(['sync', 'sync-directory'] as const)('ends the process when a %s fails, but not for lack of room', async (operation) => {
    for (const code of ['EIO', 'ENOSPC']) {
      const disk = testSimDisk('1');
      const failures: unknown[] = [];
      const store = await opened(disk.boot(), OPTIONS, { onFailure: (error) => failures.push(error) });
      disk.failNext(operation, code);
      await expect(stageFile(store, 1, bytesOf(1, 3000))).rejects.toMatchObject({ code: code === 'EIO' ? 'DHT_ERR_DISK_FAILED' : 'DHT_ERR_DISK_FULL' });
      expect(failures.length).toBe(code === 'EIO' ? 1 : 0);
      expect(store.holdsBody(key, bodyId(1))).toBe(false);
    }
  });

  test('leaves nothing open when the store is closed under it', async () => {
    const disk = testSimDisk('1');
    const store = await opened(disk.boot(), OPTIONS);
    const writer = await writerOf(store, 1);
    await writer.append(bytesOf(1, CHUNK));
    const opening = store.openBody(key, bodyId(2));
    await store.close();
    await expect(opening).rejects.toMatchObject({ code: 'DHT_ERR_NOT_READY' });
    await expect(store.openBody(key, bodyId(3))).rejects.toMatchObject({ code: 'DHT_ERR_NOT_READY' });
    await expect(writer.append(bytesOf(1, CHUNK))).rejects.toMatchObject({ code: 'DHT_ERR_CONFLICT' });
  });
});

describe('the file of a body', () => {
  const bytes = bytesOf(1, 5000);

  test.each(['another body', 'a tombstone', 'a release'] as const)('goes once the record is replaced by %s, and not before that is durable', async (what) => {
    const disk = testSimDisk('1');
    const store = await opened(disk.boot(), OPTIONS);
    await putFile(store, 1, bytes);
    await stageFile(store, 2, bytes);
    const replace = (): Promise<void> => {
      if (what === 'another body') return store.accept(key, 'n', ballot(2), largeRecord(2, bytes));
      if (what === 'a tombstone') return store.accept(key, 'n', ballot(2), tombstone(ballot(2)));
      return store.release([{ key, accepted: ballot(1) }]);
    };
    const done = replace();
    expect(store.holdsBody(key, bodyId(1))).toBe(false);
    expect(disk.snapshot().has(pathOf(bodyId(1)))).toBe(true);
    expect(await store.openBody(key, bodyId(1))).toBe('busy');
    await done;
    await settle();
    expect(disk.snapshot().has(pathOf(bodyId(1)))).toBe(false);
    expect(await store.readBody(key, bodyId(1), 0, 10)).toBeNull();
    expect(store.holdsBody(key, bodyId(2))).toBe(true);
    await stageFile(store, 1, bytes);
    expect(store.holdsBody(key, bodyId(1))).toBe(true);
  });

  test('stays when the record is accepted again, and when the register is discarded but may come back', async () => {
    const store = await opened(testSimDisk('1').boot(), OPTIONS);
    await putFile(store, 1, bytes);
    await store.accept(key, 'n', ballot(5), largeRecord(1, bytes));
    await settle();
    expect((await store.readBody(key, bodyId(1), 0, 5000))?.bytes).toEqual(bytes);
    const layout = {
      clusterId: node(9) as never, epoch: 3, keyBits: 48, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1,
      members: [{ nodeId: node(1), name: 'a:1', advertise: 'a:1', tokens: [5 as never], zone: '', weight: 1, state: 'member' as const }],
      voters: [node(1)], phase: 'stable' as const, arcs: [], recoveries: [],
    };
    await store.adoptLayout(layout, [arc(0, 0)]);
    await settle();
    expect(store.head(key)).toBeNull();
    expect(store.holdsBody(key, bodyId(1))).toBe(true);
    await store.accept(key, 'n', ballot(9), largeRecord(1, bytes));
    expect((await store.readBody(key, bodyId(1), 0, 5000))?.bytes).toEqual(bytes);
  });

  test('is gone too soon when the rule is switched off', async () => {
    const disk = testSimDisk('1');
    const store = await opened(disk.boot(), { ...OPTIONS, unlinkBeforeSync: true });
    await putFile(store, 1, bytes);
    let isDurable = false;
    let wasGoneBefore = false;
    const done = store.accept(key, 'n', ballot(2), tombstone(ballot(2))).then(() => { isDurable = true; });
    for (let i = 0; i < 20 && !isDurable; i++) {
      wasGoneBefore ||= !disk.snapshot().has(pathOf(bodyId(1)));
      await Promise.resolve();
    }
    await done;
    expect(wasGoneBefore).toBe(true);
  });

  test('is read to the end by whoever began, for the time to linger after each read', async () => {
    const disk = testSimDisk('1');
    const clock = testClock();
    const store = await opened(disk.boot(), OPTIONS, { clock });
    await putFile(store, 1, bytes);
    expect(await store.readBody(key, bodyId(1), 0, 1000)).not.toBeNull();
    await store.accept(key, 'n', ballot(2), tombstone(ballot(2)));
    await settle();
    expect(store.holdsBody(key, bodyId(1))).toBe(false);
    expect(disk.snapshot().has(pathOf(bodyId(1)))).toBe(false);
    for (let at = 1000; at < 5000; at += 1000) {
      clock.advance(bodies.lingerMs - 1);
      expect((await store.readBody(key, bodyId(1), at, 1000))?.bytes).toEqual(bytes.subarray(at, at + 1000));
    }
    clock.advance(bodies.lingerMs);
    expect(await store.readBody(key, bodyId(1), 0, 1000)).toBeNull();
    await store.close();
  });

  test('is read on while its replacement is not durable yet', async () => {
    const store = await opened(testSimDisk('1').boot(), OPTIONS);
    await putFile(store, 1, bytes);
    await store.readBody(key, bodyId(1), 0, 1000);
    const done = store.accept(key, 'n', ballot(2), tombstone(ballot(2)));
    expect((await store.readBody(key, bodyId(1), 1000, 1000))?.bytes).toEqual(bytes.subarray(1000, 2000));
    await done;
    expect((await store.readBody(key, bodyId(1), 2000, 1000))?.bytes).toEqual(bytes.subarray(2000, 3000));
  });

  test('is not kept for whoever stopped reading long ago', async () => {
    const clock = testClock();
    const store = await opened(testSimDisk('1').boot(), OPTIONS, { clock });
    await putFile(store, 1, bytes);
    await store.readBody(key, bodyId(1), 0, 1000);
    clock.advance(bodies.lingerMs);
    await store.accept(key, 'n', ballot(2), tombstone(ballot(2)));
    await settle();
    expect(await store.readBody(key, bodyId(1), 0, 1000)).toBeNull();
  });

  test('is opened anew when more bodies are read than handles are kept', async () => {
    const store = await opened(testSimDisk('1').boot(), OPTIONS);
    for (let n = 1; n <= 150; n++) await putFile(store, n, bytesOf(n, 2000), keyAt(n));
    for (let round = 0; round < 2; round++) {
      const read = await Promise.all(Array.from({ length: 150 }, (_, i) => store.readBody(keyAt(i + 1), bodyId(i + 1), 0, 2000)));
      expect(read.every((found, i) => found?.bytes.equals(bytesOf(i + 1, 2000)) === true)).toBe(true);
    }
    await store.close();
  });

  test('ends with its staging when no record came to name it', async () => {
    const disk = testSimDisk('1');
    const clock = testClock();
    const store = await opened(disk.boot(), OPTIONS, { clock });
    await stageFile(store, 1, bytes);
    clock.advance(bodies.stagingTtlMs - 1);
    expect(store.holdsBody(key, bodyId(1))).toBe(true);
    clock.advance(bodies.stagingTtlMs);
    expect(store.holdsBody(key, bodyId(1))).toBe(false);
    await settle();
    expect(filesUnder(disk, 'bodies')).toEqual([]);
  });

  test('that was staged among too many is dropped', async () => {
    const disk = testSimDisk('1');
    const store = await opened(disk.boot(), { ...OPTIONS, stagedBodiesMax: 2 });
    for (const n of [1, 2, 3]) await stageFile(store, n, bytes);
    await settle();
    expect([1, 2, 3].map((n) => store.holdsBody(key, bodyId(n)))).toEqual([false, true, true]);
    expect(filesUnder(disk, 'bodies').length).toBe(2);
  });
});

describe('at start', () => {
  const bytes = bytesOf(1, 5000);

  async function create(disk: ReturnType<typeof testSimDisk>, path: string): Promise<void> {
    const door = disk.boot();
    const directory = path.slice(0, path.lastIndexOf('/'));
    await door.makeDirectory(directory);
    const file = await door.open(path, 'create');
    await file.write(0, [Buffer.from('left over')]);
    await file.sync();
    await file.close();
    await door.syncDirectory(directory);
  }

  test('files that nothing names stay for the staging time, then go; others are left alone', async () => {
    const disk = testSimDisk('1');
    await (await opened(disk.boot(), OPTIONS)).close();
    const orphans = [`${DIRECTORY}/staging/${bodyId(5)}`, `${DIRECTORY}/staging/${bodyId(6)}.sums`, pathOf(bodyId(7))];
    const foreign = [`${DIRECTORY}/staging/notes.txt`, `${DIRECTORY}/bodies/00/00/readme`, `${DIRECTORY}/bodies/x/readme`];
    for (const path of [...orphans, ...foreign]) await create(disk, path);
    const clock = testClock();
    const store = await opened(disk.boot(), OPTIONS, { clock });
    await putFile(store, 1, bytes);
    clock.advance(bodies.stagingTtlMs - 1);
    await settle();
    expect(orphans.every((path) => disk.snapshot().has(path))).toBe(true);
    expect(store.holdsBody(key, bodyId(7))).toBe(false);
    clock.advance(1);
    await settle();
    expect(orphans.some((path) => disk.snapshot().has(path))).toBe(false);
    expect(foreign.every((path) => disk.snapshot().has(path))).toBe(true);
    expect((await store.readBody(key, bodyId(1), 0, 5000))?.bytes).toEqual(bytes);
  });

  test.each(['directory not synced for lack of room', 'later attempt given up'] as const)('a file in its place that never got a record goes too: %s', async (how) => {
    const disk = testSimDisk('1');
    const clock = testClock();
    let store = await opened(disk.boot(), OPTIONS, { clock });
    if (how === 'later attempt given up') {
      await store.close();
      await create(disk, pathOf(bodyId(7)));
      store = await opened(disk.boot(), OPTIONS, { clock });
      await (await writerOf(store, 7)).abort('drop');
    } else {
      disk.failNext('sync-directory', 'ENOSPC');
      await expect(stageFile(store, 7, bytes)).rejects.toMatchObject({ code: 'DHT_ERR_DISK_FULL' });
    }
    expect(disk.snapshot().has(pathOf(bodyId(7)))).toBe(true);
    for (let i = 0; i < 3; i++) {
      clock.advance(bodies.stagingTtlMs);
      await settle();
    }
    expect([...filesUnder(disk, 'bodies'), ...filesUnder(disk, 'staging')]).toEqual([]);
  });

  test('an attempt that is given up beside a held body takes nothing of it along', async () => {
    const disk = testSimDisk('1');
    const clock = testClock();
    const store = await opened(disk.boot(), OPTIONS, { clock });
    await putFile(store, 1, bytes);
    await (await writerOf(store, 1)).abort('keep');
    for (let i = 0; i < 3; i++) {
      clock.advance(bodies.stagingTtlMs);
      await settle();
    }
    expect(filesUnder(disk, 'staging')).toEqual([]);
    expect((await store.readBody(key, bodyId(1), 0, 5000))?.bytes).toEqual(bytes);
  });

  test('a file whose record was replaced goes at once', async () => {
    const disk = testSimDisk('1');
    const store = await opened(disk.boot(), OPTIONS);
    await putFile(store, 1, bytes);
    disk.failNext('remove', 'EIO');
    await store.accept(key, 'n', ballot(2), tombstone(ballot(2)));
    await settle();
    await store.close();
    expect(filesUnder(disk, 'bodies').length).toBe(1);
    const again = await opened(disk.boot(), OPTIONS);
    await settle();
    expect(filesUnder(disk, 'bodies')).toEqual([]);
    await again.close();
  });

  test('a missing file is told, its body is not held, its register stays, and the body can come back', async () => {
    const disk = testSimDisk('1');
    let store = await opened(disk.boot(), OPTIONS);
    await putFile(store, 1, bytes);
    await stageFile(store, 2, bytes);
    await store.close();
    const door = disk.boot();
    await door.remove(pathOf(bodyId(1)));
    await door.remove(pathOf(bodyId(2)));
    for (let boot = 0; boot < 2; boot++) {
      const found = await damaged(disk);
      store = found.store;
      expect(found.damages).toEqual([`the file of body ${bodyId(1)} is missing`]);
      expect(store.head(key)).toMatchObject({ kind: 'object', bodyId: bodyId(1), accepted: ballot(1) });
      expect([1, 2].map((n) => store.holdsBody(key, bodyId(n)))).toEqual([false, false]);
      expect(await store.readBody(key, bodyId(1), 0, 10)).toBeNull();
      if (boot === 0) await store.close();
    }
    await stageFile(store, 1, bytes);
    expect((await store.readBody(key, bodyId(1), 0, 5000))?.bytes).toEqual(bytes);
    await store.close();
    const { store: last, damages } = await damaged(disk);
    expect(damages).toEqual([]);
    expect(last.holdsBody(key, bodyId(1))).toBe(true);
  });
});

describe('a store that closes while its log waits for room', () => {
  test('ends, and keeps the file of a body whose removal was not durable', async () => {
    const disk = testSimDisk('1');
    const clock = testClock();
    const store = await opened(disk.boot(), OPTIONS, { clock });
    await putFile(store, 1, bytesOf(1, 3000));
    await settle();
    disk.setUsedPart(1);
    const refused = [store.accept(key, 'name 1', ballot(2), tombstone(ballot(2))), ...Array.from({ length: 60 }, (_, i) => store.promise(keyAt(i), 'x'.repeat(500), ballot(9), null))]
      .map((change) => change.then(() => 'durable', () => 'refused'));
    await settle();
    expect(store.spaceView().isStalled).toBe(true);
    const ended = await Promise.race([store.close().then(() => 'closed'), new Promise((resolve) => { setTimeout(() => { resolve('still open'); }, 500); })]);
    expect(ended).toBe('closed');
    expect(new Set(await Promise.all(refused))).toEqual(new Set(['refused']));
    disk.setUsedPart(null);
    const again = await opened(disk.boot(), OPTIONS, { clock });
    expect(again.head(key)?.kind).toBe('object');
    expect((await again.readBody(key, bodyId(1), 0, 3000))?.bytes).toEqual(bytesOf(1, 3000));
    await again.close();
  });
});

describe('rot', () => {
  const bytes = bytesOf(1, 5 * CHUNK + 100);
  const tableAt = bytes.length;

  test.each([
    ['a chunk', 2 * CHUNK + 5, 2 * CHUNK], ['the last chunk', 5 * CHUNK + 99, 5 * CHUNK], ['the table', tableAt + 3, 0], ['the footer', tableAt + 24 + 30, 0],
    ['the magic', tableAt + 24, 0], ['the version', tableAt + 24 + 15, 0], ['the size', tableAt + 24 + 16, 0], ['the chunk size', tableAt + 24 + 27, 0],
  ])('of %s is never served: the body is no longer held, and comes back by being written again', async (_what, position, offset) => {
    const disk = testSimDisk('1');
    let store = await opened(disk.boot(), OPTIONS);
    await putFile(store, 1, bytes);
    await store.close();
    disk.flipBit(pathOf(bodyId(1)), position, 1);
    const found = await damaged(disk);
    store = found.store;
    expect(store.holdsBody(key, bodyId(1))).toBe(true);
    expect(await store.readBody(key, bodyId(1), offset, 10)).toBeNull();
    expect(found.damages).toEqual([`the file of body ${bodyId(1)} is not what was written`]);
    expect(store.holdsBody(key, bodyId(1))).toBe(false);
    await stageFile(store, 1, bytes);
    expect((await store.readBody(key, bodyId(1), 0, bytes.length))?.bytes).toEqual(bytes);
  });

  test('of one chunk leaves the others readable until it is met', async () => {
    const disk = testSimDisk('1');
    const store = await opened(disk.boot(), OPTIONS);
    await putFile(store, 1, bytes);
    disk.flipBit(pathOf(bodyId(1)), 2 * CHUNK + 5, 1);
    expect(await store.readBody(key, bodyId(1), 0, 2 * CHUNK)).not.toBeNull();
    expect(await store.readBody(key, bodyId(1), 3 * CHUNK, 1e6)).not.toBeNull();
    expect(await store.readBody(key, bodyId(1), 2 * CHUNK - 1, 2)).toBeNull();
  });

  test('is not what a read that the disk refuses is', async () => {
    const disk = testSimDisk('1');
    const { store, damages } = await damaged(disk);
    await putFile(store, 1, bytes);
    for (const operation of ['open', 'read'] as const) {
      disk.failNext(operation, 'EMFILE');
      await expect(store.readBody(key, bodyId(1), 0, 10)).rejects.toMatchObject({ code: 'DHT_ERR_DISK_FAILED', cause: { code: 'EMFILE' } });
      expect(await store.readBody(key, bodyId(1), 0, 10)).not.toBeNull();
    }
    expect(damages).toEqual([]);
  });
});
