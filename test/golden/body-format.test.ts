/**
 * The bytes of body files, format version 1, and of the log record that names them, for ever: what this version wrote is read
 * back, and the same body still makes the same bytes. When the format changes, its version grows and this file stays.
 */
import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { BODY_LIMITS } from '../../src/domain/body-limits.ts';
import type { LiveRecord } from '../../src/domain/stored-object.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { ballot, bodyId, DIRECTORY, keyAt, liveRecord, opened } from '../unit/storage/store-fixture.ts';
import { testSimDisk } from '../unit/storage/test-disk.ts';

const GOLDEN = path.join(import.meta.dirname, 'body-v1.json');
/** File name below the directory -> hex; of the log's files without the zeros at their ends. */
const golden = (): Readonly<Record<string, string>> => JSON.parse(readFileSync(GOLDEN, 'utf8')) as Record<string, string>;

const CHUNK = 16;
const BODY = Buffer.from('a body of two chunks and a little');
const OPTIONS = { bodies: { ...BODY_LIMITS, inlineBytesMax: 8, chunkBytes: CHUNK }, recordCacheBytes: 0, bodyCacheBytes: 0 };
const sha256 = createHash('sha256').update(BODY).digest('hex');
const base = liveRecord(ballot(10), bodyId(0xabcd), BODY.length);
const record: LiveRecord = { ...base, body: { ...base.body, where: 'file', sha256 } };

async function stage(store: ObjectStore, end: number): Promise<void> {
  const writer = await store.openBody(keyAt(1), bodyId(end === BODY.length ? 0xabcd : 0xef));
  if (typeof writer === 'string') throw new Error(writer);
  for (let at = 0; at < end; at += CHUNK) await writer.append(BODY.subarray(at, Math.min(at + CHUNK, end)));
  if (end < BODY.length) await writer.abort('keep');
  else await writer.finish({ size: BODY.length, sha256 });
}

describe('body file format version 1', () => {
  test('what was written then is read now', async () => {
    const disk = testSimDisk('golden').boot();
    for (const [name, hex] of Object.entries(golden())) {
      const file = `${DIRECTORY}/${name}`;
      await disk.makeDirectory(file.slice(0, file.lastIndexOf('/')));
      await (await disk.open(file, 'create')).write(0, [Buffer.from(hex, 'hex'), name.startsWith('log/') ? Buffer.alloc(64) : Buffer.alloc(0)]);
    }
    const store = await opened(disk, OPTIONS);
    expect(store.holdsBody(keyAt(1), bodyId(0xabcd))).toBe(true);
    expect(await store.readBody(keyAt(1), bodyId(0xabcd), 0, 100)).toEqual({ bytes: BODY, size: BODY.length });
    const head = store.head(keyAt(1));
    expect(head === null ? null : await store.load(keyAt(1), head)).toEqual({ name: 'käse.bin', record });
    const writer = await store.openBody(keyAt(1), bodyId(0xef));
    expect(writer).toMatchObject({ length: CHUNK });
  });

  test('the same body makes the same bytes', async () => {
    const disk = testSimDisk('golden');
    const store = await opened(disk.boot(), OPTIONS);
    await stage(store, BODY.length);
    await store.accept(keyAt(1), 'käse.bin', ballot(10), record);
    await stage(store, CHUNK);
    await store.close();
    const written = Object.fromEntries(
      [...disk.snapshot()].map(([file, bytes]) => [file.slice(DIRECTORY.length + 1), file.includes('/log/') ? bytes.toString('hex').replace(/(00)+$/, '') : bytes.toString('hex')]),
    );
    expect(written).toEqual(golden());
  });
});
