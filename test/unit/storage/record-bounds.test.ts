/** Nothing is stored that couldn't be read back, and what an early version stored so is read. */
import { expect, test } from '@jest/globals';
import { CONTENT_TYPE_BYTES_MAX, META_BYTES_MAX } from '../../../src/domain/limits.ts';
import type { LiveRecord } from '../../../src/domain/stored-object.ts';
import { BinaryReader } from '../../../src/encoding/binary-reader.ts';
import { BinaryWriter } from '../../../src/encoding/binary-writer.ts';
import { readRecord, writeRecord } from '../../../src/encoding/record-encoding.ts';
import { ballot, bodyId, keyAt, liveRecord, opened } from './store-fixture.ts';
import { testSimDisk } from './test-disk.ts';

const record: LiveRecord = liveRecord(ballot(1), bodyId(1), 1);
const longType: LiveRecord = { ...record, contentType: '\u00e9'.repeat(CONTENT_TYPE_BYTES_MAX + 1) };
const longMeta: LiveRecord = { ...record, meta: [['a', '\u00e9'.repeat(META_BYTES_MAX / 2 + 1)]] };

test.each([['Content-Type', longType], ['meta', longMeta]])('a record whose %s is too long is refused, and the next start reads the log', async (_, tooLong) => {
  const disk = testSimDisk('1');
  const store = await opened(disk.boot());
  await store.promise(keyAt(1), 'n', ballot(1), { bodyId: bodyId(1), bytes: Buffer.from('x') });
  await expect(store.accept(keyAt(1), 'n', ballot(1), tooLong)).rejects.toMatchObject({ code: 'DHT_ERR_REQUEST_INVALID' });
  await store.close();
  expect((await opened(disk.boot())).head(keyAt(1))?.kind).toBe('none');
});

test('a Content-Type that was counted in characters once is read', () => {
  const writer = new BinaryWriter(1024);
  const once = { ...record, contentType: '\u00e9'.repeat(CONTENT_TYPE_BYTES_MAX) };
  writeRecord(writer, once);
  expect(readRecord(new BinaryReader(Buffer.from(writer.finish())))).toEqual(once);
});
