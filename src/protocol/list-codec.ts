/**
 * Codecs of the listing. Entries travel in the frame's body; whoever answers fills it by `listedEntryBytes` and says with
 * `isLast` whether more follow, because a thousand names at their longest don't fit one frame.
 */
import { FRAME_BODY_BYTES_MAX, FRAME_HEAD_BYTES_MAX, NAME_BYTES_MAX } from '../domain/limits.ts';
import { BinaryReader } from '../encoding/binary-reader.ts';
import { BinaryWriter } from '../encoding/binary-writer.ts';
import { NO_BODY, readName, readWord, writeWord, type MessageCodec } from './message-fields.ts';
import type { ListedEntry, ListReply, ListRequest } from './message.ts';

const RECORD_KINDS: readonly ListedEntry['recordKind'][] = ['object', 'tombstone'];
/** An entry without its name: length of the name, two ballots, kind, size. */
const ENTRY_BYTES_MIN = 2 + 2 * 32 + 1 + 8;
const COUNT_BYTES = 4;
/** Bytes that all entries of a `list-reply` may take. */
export const LISTED_BYTES_MAX = FRAME_BODY_BYTES_MAX - COUNT_BYTES;
const ENTRIES_MAX = Math.floor(LISTED_BYTES_MAX / ENTRY_BYTES_MIN);

/** Bytes that an entry takes in a `list-reply`. */
export function listedEntryBytes({ name }: Pick<ListedEntry, 'name'>): number {
  return ENTRY_BYTES_MIN + Buffer.byteLength(name);
}

function writeEntry(writer: BinaryWriter, entry: ListedEntry): void {
  writer.text(entry.name);
  writer.ballot(entry.accepted);
  writer.ballot(entry.version);
  writeWord(writer, RECORD_KINDS, entry.recordKind);
  writer.u64(entry.size);
}

function readEntry(reader: BinaryReader): ListedEntry {
  return { name: readName(reader), accepted: reader.ballot(), version: reader.ballot(), recordKind: readWord(reader, RECORD_KINDS), size: reader.u64() };
}

export const LIST_CODECS: {
  readonly 'list': MessageCodec<ListRequest>;
  readonly 'list-reply': MessageCodec<ListReply>;
} = {
  'list': {
    headBytesMax: FRAME_HEAD_BYTES_MAX, bodyBytesMax: 0, type: 0x66,
    write: (w, m) => {
      w.u64(m.epoch);
      w.text(m.prefix);
      w.optional(m.from, (v, from) => { v.text(from.name); v.bool(from.isInclusive); });
      w.u32(m.limit);
      w.optional(m.grouping, (v, grouping) => { v.text(grouping.delimiter); v.u32(grouping.namesMax); });
      return NO_BODY;
    },
    read: (r) => ({
      kind: 'list', epoch: r.u64(), prefix: readName(r), from: r.optional((v) => ({ name: readName(v), isInclusive: v.bool() })), limit: r.u32(),
      grouping: r.optional((v) => ({ delimiter: v.text(NAME_BYTES_MAX), namesMax: v.u32() })),
    }),
  },
  'list-reply': {
    headBytesMax: FRAME_HEAD_BYTES_MAX, bodyBytesMax: FRAME_BODY_BYTES_MAX, type: 0x67,
    write: (w, m) => {
      w.u64(m.epoch);
      w.bool(m.isLast);
      const body = new BinaryWriter(COUNT_BYTES + m.entries.reduce((bytes, entry) => bytes + listedEntryBytes(entry), 0));
      body.list(m.entries, writeEntry);
      return body.finish();
    },
    read: (r, body) => {
      const epoch = r.u64();
      const isLast = r.bool();
      return { kind: 'list-reply', epoch, entries: new BinaryReader(body).list(ENTRIES_MAX, ENTRY_BYTES_MIN, readEntry), isLast };
    },
  },
};
