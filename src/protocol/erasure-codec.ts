/** Codecs of the erasure family: tombstones by key and ballot, in the frame's body, because a page of them is long. */
import type { Ballot } from '../domain/ballot.ts';
import { FRAME_BODY_BYTES_MAX, FRAME_HEAD_BYTES_MAX } from '../domain/limits.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import { BinaryReader } from '../encoding/binary-reader.ts';
import { BinaryWriter } from '../encoding/binary-writer.ts';
import { NO_BODY, type MessageCodec } from './message-fields.ts';
import type { EraseReply, EraseRequest, TombstonesReply, TombstonesRequest } from './message.ts';

const KEY_BYTES = 20;
const ENTRY_BYTES = KEY_BYTES + 32;
/** Entries of one message: what the frame's body takes, rounded down. */
const ENTRIES_MAX = 16_384;

const WITH_BODY = { headBytesMax: FRAME_HEAD_BYTES_MAX, bodyBytesMax: FRAME_BODY_BYTES_MAX } as const;
const HEAD_ONLY = { headBytesMax: FRAME_HEAD_BYTES_MAX, bodyBytesMax: 0 } as const;

type Entry = TombstonesRequest['entries'][number];

function entriesBody(entries: readonly Entry[]): Uint8Array {
  const writer = new BinaryWriter(4 + entries.length * ENTRY_BYTES);
  writer.list(entries, (w, { key, ballot }) => { w.hex(key, KEY_BYTES); w.ballot(ballot); });
  return writer.finish();
}

function readEntries(body: Buffer): readonly Entry[] {
  return new BinaryReader(body).list(ENTRIES_MAX, ENTRY_BYTES, (r): { key: ObjectKey; ballot: Ballot } => ({ key: r.hex(KEY_BYTES) as ObjectKey, ballot: r.ballot() }));
}

export const ERASURE_CODECS: {
  readonly 'tombstones': MessageCodec<TombstonesRequest>;
  readonly 'tombstones-reply': MessageCodec<TombstonesReply>;
  readonly 'erase': MessageCodec<EraseRequest>;
  readonly 'erase-reply': MessageCodec<EraseReply>;
} = {
  'tombstones': {
    ...WITH_BODY, type: 0x80,
    write: (w, m) => { w.u64(m.epoch); return entriesBody(m.entries); },
    read: (r, body) => ({ kind: 'tombstones', epoch: r.u64(), entries: readEntries(body) }),
  },
  'tombstones-reply': {
    ...HEAD_ONLY, type: 0x81,
    write: (w, m) => { w.u64(m.epoch); w.list(m.isAlike, (v, isAlike) => { v.bool(isAlike); }); return NO_BODY; },
    read: (r) => ({ kind: 'tombstones-reply', epoch: r.u64(), isAlike: r.list(ENTRIES_MAX, 1, (v) => v.bool()) }),
  },
  'erase': {
    ...WITH_BODY, type: 0x82,
    write: (w, m) => { w.u64(m.epoch); return entriesBody(m.entries); },
    read: (r, body) => ({ kind: 'erase', epoch: r.u64(), entries: readEntries(body) }),
  },
  'erase-reply': {
    ...HEAD_ONLY, type: 0x83,
    write: (w, m) => { w.u64(m.epoch); w.u32(m.erased); return NO_BODY; },
    read: (r) => ({ kind: 'erase-reply', epoch: r.u64(), erased: r.u32() }),
  },
};
