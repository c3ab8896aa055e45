import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { BODY_LIMITS } from '../../../src/domain/body-limits.ts';
import type { BodyId } from '../../../src/domain/ids.ts';
import type { ObjectKey } from '../../../src/domain/ring-position.ts';
import type { LiveRecord } from '../../../src/domain/stored-object.ts';
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
