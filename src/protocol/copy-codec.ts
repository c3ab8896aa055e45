/**
 * Codecs of the copy family: bodies, pages, records and receipts of the catch-up. Lists that may be long (page entries,
 * keys, receipts) travel in the frame's body, which takes sixteen times what a head takes.
 */
import { ERRORS, type ErrorCode } from '../domain/error-catalogue.ts';
import type { BodyId } from '../domain/ids.ts';
import { FRAME_BODY_BYTES_MAX, FRAME_HEAD_BYTES_MAX } from '../domain/limits.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import { BinaryReader, DecodeError } from '../encoding/binary-reader.ts';
import { BinaryWriter } from '../encoding/binary-writer.ts';
import {
  NO_BODY, readAccepted, readBodyPresence, readName, readPosition, readWord, writeAccepted, writeBodyPresence, writePosition, writeWord, type MessageCodec,
} from './message-fields.ts';
import type {
  BodyFetchReply, BodyFetchRequest, FaultReply, InspectReply, InspectRequest, PageEntry, PageReply, PageRequest, ReceiptsReply,
  ReceiptsRequest, RecordsReply, RecordsRequest, TransferredRecord,
} from './message.ts';

const HEAD_ONLY = { headBytesMax: FRAME_HEAD_BYTES_MAX, bodyBytesMax: 0 } as const;
const WITH_BODY = { headBytesMax: FRAME_HEAD_BYTES_MAX, bodyBytesMax: FRAME_BODY_BYTES_MAX } as const;

const KEY_BYTES = 20;
const BALLOT_BYTES = 32;
const PAGE_ENTRY_BYTES = KEY_BYTES + 2 * BALLOT_BYTES + 8;
const RECEIPT_ENTRY_BYTES = KEY_BYTES + BALLOT_BYTES;
/** Entries of one page, keys of one `records`, entries of one `receipts`: what the frame's body takes, rounded down. */
export const PAGE_ENTRIES_MAX = 8192;
export const RECORD_KEYS_MAX = 8192;
export const RECEIPTS_MAX = 16_384;
const RECEIPT_STATES: readonly ReceiptsReply['states'][number][] = ['lacking', 'held', 'erased'];
const DETAIL_BYTES_MAX = 4096;

/** Bytes that all records of a `records-reply` may take in its head (see transferredRecordBytes). */
export const RECORDS_HEAD_BYTES_MAX = FRAME_HEAD_BYTES_MAX - 64;

/** Bytes that a record takes in the head of a `records-reply`: what the sender fills a frame by. */
export function transferredRecordBytes(item: TransferredRecord): number {
  const writer = new BinaryWriter(512);
  writeTransferred(writer, item);
  return writer.length;
}

function listBody<T>(items: readonly T[], itemBytes: number, writeItem: (writer: BinaryWriter, item: T) => void): Uint8Array {
  const writer = new BinaryWriter(4 + items.length * itemBytes);
  writer.list(items, writeItem);
  return writer.finish();
}

const writeKey = (writer: BinaryWriter, key: ObjectKey): void => { writer.hex(key, KEY_BYTES); };
const readKey = (reader: BinaryReader): ObjectKey => reader.hex(KEY_BYTES) as ObjectKey;

function writePageEntry(writer: BinaryWriter, entry: PageEntry): void {
  writeKey(writer, entry.key);
  writer.ballot(entry.promised);
  writer.ballot(entry.accepted);
  writer.u64(entry.size);
}

function readPageEntry(reader: BinaryReader): PageEntry {
  return { key: readKey(reader), promised: reader.ballot(), accepted: reader.ballot(), size: reader.u64() };
}

function writeTransferred(writer: BinaryWriter, item: TransferredRecord): void {
  writeKey(writer, item.key);
  writer.text(item.name);
  writeAccepted(writer, item);
  writer.u32(item.bodyOffset);
  writer.u32(item.bodyLength);
}

function readTransferred(reader: BinaryReader): TransferredRecord {
  const key = readKey(reader);
  const name = readName(reader);
  const { ballot, record } = readAccepted(reader);
  return { key, name, ballot, record, bodyOffset: reader.u32(), bodyLength: reader.u32() };
}

function readReceiptEntry(reader: BinaryReader): ReceiptsRequest['entries'][number] {
  return { key: readKey(reader), accepted: reader.ballot() };
}

export const COPY_CODECS: {
  readonly 'body-fetch': MessageCodec<BodyFetchRequest>;
  readonly 'body-fetch-reply': MessageCodec<BodyFetchReply>;
  readonly 'page': MessageCodec<PageRequest>;
  readonly 'page-reply': MessageCodec<PageReply>;
  readonly 'records': MessageCodec<RecordsRequest>;
  readonly 'records-reply': MessageCodec<RecordsReply>;
  readonly 'receipts': MessageCodec<ReceiptsRequest>;
  readonly 'receipts-reply': MessageCodec<ReceiptsReply>;
  readonly 'inspect': MessageCodec<InspectRequest>;
  readonly 'inspect-reply': MessageCodec<InspectReply>;
  readonly 'fault': MessageCodec<FaultReply>;
} = {
  'body-fetch': {
    ...HEAD_ONLY, type: 0x50,
    write: (w, m) => { w.hex(m.bodyId, 16); w.text(m.name); w.u64(m.offset); w.u32(m.length); return NO_BODY; },
    read: (r) => ({ kind: 'body-fetch', bodyId: r.hex(16) as BodyId, name: readName(r), offset: r.u64(), length: r.u32() }),
  },
  'body-fetch-reply': {
    ...WITH_BODY, type: 0x51,
    write: (w, m) => { w.bool(m.isHeld); w.u64(m.size); return writeBodyPresence(w, m.body); },
    read: (r, body) => ({ kind: 'body-fetch-reply', isHeld: r.bool(), size: r.u64(), body: readBodyPresence(r, body) }),
  },
  'page': {
    ...HEAD_ONLY, type: 0x52,
    write: (w, m) => {
      w.u64(m.epoch);
      writePosition(w, m.from);
      writePosition(w, m.to);
      w.optional(m.after, writeKey);
      w.u32(m.limit);
      return NO_BODY;
    },
    read: (r) => ({
      kind: 'page', epoch: r.u64(), from: readPosition(r), to: readPosition(r), after: r.optional(readKey), limit: r.u32(),
    }),
  },
  'page-reply': {
    ...WITH_BODY, type: 0x53,
    write: (w, m) => {
      w.u64(m.epoch);
      w.bool(m.isLast);
      w.ballot(m.floor);
      return listBody(m.entries, PAGE_ENTRY_BYTES, writePageEntry);
    },
    read: (r, body) => {
      const epoch = r.u64();
      const isLast = r.bool();
      const floor = r.ballot();
      return { kind: 'page-reply', epoch, entries: new BinaryReader(body).list(PAGE_ENTRIES_MAX, PAGE_ENTRY_BYTES, readPageEntry), isLast, floor };
    },
  },
  'records': {
    ...WITH_BODY, type: 0x54,
    write: (w, m) => { w.u64(m.epoch); return listBody(m.keys, KEY_BYTES, writeKey); },
    read: (r, body) => ({ kind: 'records', epoch: r.u64(), keys: new BinaryReader(body).list(RECORD_KEYS_MAX, KEY_BYTES, readKey) }),
  },
  'records-reply': {
    ...WITH_BODY, type: 0x55,
    write: (w, m) => {
      w.u64(m.epoch);
      w.u32(m.answered);
      w.list(m.records, writeTransferred);
      return writeBodyPresence(w, m.body);
    },
    read: (r, frameBody) => {
      const epoch = r.u64();
      const answered = r.u32();
      const records = r.list(RECORD_KEYS_MAX, KEY_BYTES + 100, readTransferred);
      const body = readBodyPresence(r, frameBody);
      for (const { bodyOffset, bodyLength } of records) {
        if (bodyOffset + bodyLength > frameBody.length) throw new DecodeError('a record whose body lies outside the frame');
      }
      return { kind: 'records-reply', epoch, records, answered, body };
    },
  },
  'receipts': {
    ...WITH_BODY, type: 0x56,
    write: (w, m) => {
      w.u64(m.epoch);
      return listBody(m.entries, RECEIPT_ENTRY_BYTES, (v, entry) => { writeKey(v, entry.key); v.ballot(entry.accepted); });
    },
    read: (r, body) => ({
      kind: 'receipts', epoch: r.u64(), entries: new BinaryReader(body).list(RECEIPTS_MAX, RECEIPT_ENTRY_BYTES, readReceiptEntry),
    }),
  },
  'receipts-reply': {
    ...HEAD_ONLY, type: 0x57,
    write: (w, m) => { w.u64(m.epoch); w.list(m.states, (v, state) => { writeWord(v, RECEIPT_STATES, state); }); return NO_BODY; },
    read: (r) => ({ kind: 'receipts-reply', epoch: r.u64(), states: r.list(RECEIPTS_MAX, 1, (v) => readWord(v, RECEIPT_STATES)) }),
  },
  'inspect': {
    ...HEAD_ONLY, type: 0x58,
    write: (w, m) => { w.text(m.name); return NO_BODY; },
    read: (r) => ({ kind: 'inspect', name: readName(r) }),
  },
  'inspect-reply': {
    ...HEAD_ONLY, type: 0x59,
    write: (w, m) => {
      w.u64(m.epoch);
      w.ballot(m.promised);
      w.optional(m.accepted, writeAccepted);
      w.optional(m.sha256, (v, sha256) => { v.hex(sha256, 32); });
      w.bool(m.isDurable);
      return NO_BODY;
    },
    read: (r) => ({
      kind: 'inspect-reply', epoch: r.u64(), promised: r.ballot(), accepted: r.optional(readAccepted), sha256: r.optional((v) => v.hex(32)),
      isDurable: r.bool(),
    }),
  },
  'fault': {
    ...HEAD_ONLY, type: 0x5f,
    write: (w, m) => { w.text(m.code); w.text(m.detail.slice(0, DETAIL_BYTES_MAX / 4)); return NO_BODY; },
    read: (r) => ({ kind: 'fault', code: readErrorCode(r), detail: r.text(DETAIL_BYTES_MAX) }),
  },
};

/** A code that only a newer version knows counts as an internal error. */
export function readErrorCode(reader: BinaryReader): ErrorCode {
  const code = reader.text(64);
  return Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'DHT_ERR_INTERNAL';
}
