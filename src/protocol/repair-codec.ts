/** Codecs of the repair family: digests that two replicas compare, and hints of missed writes. */
import { FRAME_BODY_BYTES_MAX, FRAME_HEAD_BYTES_MAX } from '../domain/limits.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import { BinaryReader } from '../encoding/binary-reader.ts';
import { BinaryWriter } from '../encoding/binary-writer.ts';
import { NO_BODY, readBodyPresence, readWord, writeBodyPresence, writeWord, type MessageCodec } from './message-fields.ts';
import type { DigestsReply, DigestsRequest, MissedReply, MissedRequest } from './message.ts';

const KEY_BYTES = 20;
const BALLOT_BYTES = 32;
const ROOT_BYTES = 8;
const PAGE_COUNT = 256;
/** Pages of one request: their buckets' digests have to fit the reply. */
export const DIGEST_PAGES_MAX = Math.min(PAGE_COUNT, FRAME_BODY_BYTES_MAX / (256 * 8));
/** Entries of one hint: 52 KiB, a small part of what a frame takes, so that a busy receiver may refuse a few at a time. */
export const MISSED_MAX = 1024;
const CAUSES: readonly MissedRequest['cause'][] = ['write', 'read'];

export const REPAIR_CODECS: {
  readonly 'digests': MessageCodec<DigestsRequest>;
  readonly 'digests-reply': MessageCodec<DigestsReply>;
  readonly 'missed': MessageCodec<MissedRequest>;
  readonly 'missed-reply': MessageCodec<MissedReply>;
} = {
  'digests': {
    headBytesMax: FRAME_HEAD_BYTES_MAX, bodyBytesMax: 0, type: 0x70,
    write: (w, m) => {
      w.u64(m.epoch);
      w.hex(m.root, ROOT_BYTES);
      w.optional(m.pages, (v, pages) => { v.list(pages, (u, page) => { u.u8(page); }); });
      return NO_BODY;
    },
    read: (r) => ({ kind: 'digests', epoch: r.u64(), root: r.hex(ROOT_BYTES), pages: r.optional((v) => v.list(PAGE_COUNT, 1, (u) => u.u8())) }),
  },
  'digests-reply': {
    headBytesMax: FRAME_HEAD_BYTES_MAX, bodyBytesMax: FRAME_BODY_BYTES_MAX, type: 0x71,
    write: (w, m) => { w.u64(m.epoch); w.bool(m.isEqual); return writeBodyPresence(w, m.body); },
    read: (r, body) => ({ kind: 'digests-reply', epoch: r.u64(), isEqual: r.bool(), body: readBodyPresence(r, body) }),
  },
  'missed': {
    headBytesMax: FRAME_HEAD_BYTES_MAX, bodyBytesMax: FRAME_BODY_BYTES_MAX, type: 0x72,
    write: (w, m) => {
      writeWord(w, CAUSES, m.cause);
      const body = new BinaryWriter(4 + m.entries.length * (KEY_BYTES + BALLOT_BYTES));
      body.list(m.entries, (v, { key, accepted }) => { v.hex(key, KEY_BYTES); v.ballot(accepted); });
      return body.finish();
    },
    read: (r, body) => {
      const cause = readWord(r, CAUSES);
      const entries = new BinaryReader(body).list(MISSED_MAX, KEY_BYTES + BALLOT_BYTES, (v) => ({ key: v.hex(KEY_BYTES) as ObjectKey, accepted: v.ballot() }));
      return { kind: 'missed', cause, entries };
    },
  },
  'missed-reply': {
    headBytesMax: FRAME_HEAD_BYTES_MAX, bodyBytesMax: 0, type: 0x73,
    write: (w, m) => { w.u32(m.taken); return NO_BODY; },
    read: (r) => ({ kind: 'missed-reply', taken: r.u32() }),
  },
};
