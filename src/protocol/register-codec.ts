/**
 * Codecs of the register family: PREPARE, ACCEPT, READ. This is the hot path of every put and get: plain sequences of
 * fields, no intermediate objects, the inline body as a view of what was received.
 */
import type { BodyId } from '../domain/ids.ts';
import { FRAME_BODY_BYTES_MAX, FRAME_HEAD_BYTES_MAX, INLINE_BODY_BYTES_MAX, MEMBERS_MAX } from '../domain/limits.ts';
import { DecodeError } from '../encoding/binary-reader.ts';
import { readRecord, writeRecord } from '../encoding/record-encoding.ts';
import {
  layoutBody, NO_BODY, readAccepted, readBodyPresence, readName, readNodeId, readOptionalLayout, readWord, writeAccepted,
  writeBodyPresence, writeNodeId, writeWord, type MessageCodec,
} from './message-fields.ts';
import type { AcceptReply, AcceptRequest, PrepareReply, PrepareRequest, ReadReply, ReadRequest, StaleEpochReply } from './message.ts';

const HEAD_ONLY = { headBytesMax: FRAME_HEAD_BYTES_MAX, bodyBytesMax: 0 } as const;
const WITH_INLINE_BODY = { headBytesMax: FRAME_HEAD_BYTES_MAX, bodyBytesMax: INLINE_BODY_BYTES_MAX } as const;
const PREPARE_STATES: readonly PrepareReply['state'][] = ['promised', 'refused'];
const ACCEPT_STATES: readonly AcceptReply['state'][] = ['accepted', 'refused', 'body-missing', 'body-pulling'];

export const REGISTER_CODECS: {
  readonly 'prepare': MessageCodec<PrepareRequest>;
  readonly 'prepare-reply': MessageCodec<PrepareReply>;
  readonly 'accept': MessageCodec<AcceptRequest>;
  readonly 'accept-reply': MessageCodec<AcceptReply>;
  readonly 'read': MessageCodec<ReadRequest>;
  readonly 'read-reply': MessageCodec<ReadReply>;
  readonly 'stale-epoch': MessageCodec<StaleEpochReply>;
} = {
  'prepare': {
    ...WITH_INLINE_BODY, type: 0x40,
    write: (w, m) => {
      w.u64(m.epoch);
      w.text(m.name);
      w.ballot(m.ballot);
      w.bool(m.staged !== null);
      if (m.staged === null) return NO_BODY;
      w.hex(m.staged.bodyId, 16);
      w.hex(m.staged.sha256, 32);
      return m.body ?? NO_BODY;
    },
    read: (r, body) => {
      const epoch = r.u64();
      const name = readName(r);
      const ballot = r.ballot();
      if (r.bool()) return { kind: 'prepare', epoch, name, ballot, staged: { bodyId: r.hex(16) as BodyId, sha256: r.hex(32) }, body };
      if (body.length > 0) throw new DecodeError('a body that nothing stages');
      return { kind: 'prepare', epoch, name, ballot, staged: null, body: null };
    },
  },
  'prepare-reply': {
    ...HEAD_ONLY, type: 0x41,
    write: (w, m) => {
      w.u64(m.epoch);
      writeWord(w, PREPARE_STATES, m.state);
      w.ballot(m.promised);
      w.optional(m.accepted, writeAccepted);
      w.ballot(m.floor);
      w.bool(m.isStaged);
      return NO_BODY;
    },
    read: (r) => ({
      kind: 'prepare-reply', epoch: r.u64(), state: readWord(r, PREPARE_STATES), promised: r.ballot(), accepted: r.optional(readAccepted),
      floor: r.ballot(), isStaged: r.bool(),
    }),
  },
  'accept': {
    ...HEAD_ONLY, type: 0x42,
    write: (w, m) => {
      w.u64(m.epoch);
      w.text(m.name);
      w.ballot(m.ballot);
      writeRecord(w, m.record);
      w.list(m.holders, writeNodeId);
      return NO_BODY;
    },
    read: (r) => ({
      kind: 'accept', epoch: r.u64(), name: readName(r), ballot: r.ballot(), record: readRecord(r),
      holders: r.list(MEMBERS_MAX, 16, readNodeId),
    }),
  },
  'accept-reply': {
    ...HEAD_ONLY, type: 0x43,
    write: (w, m) => {
      w.u64(m.epoch);
      writeWord(w, ACCEPT_STATES, m.state);
      w.ballot(m.promised);
      if (m.state === 'body-pulling') w.u64(m.pulledBytes);
      return NO_BODY;
    },
    read: (r) => {
      const epoch = r.u64();
      const state = readWord(r, ACCEPT_STATES);
      const promised = r.ballot();
      return { kind: 'accept-reply', epoch, state, pulledBytes: state === 'body-pulling' ? r.u64() : 0, promised };
    },
  },
  'read': {
    ...HEAD_ONLY, type: 0x44,
    write: (w, m) => { w.u64(m.epoch); w.text(m.name); w.bool(m.wantBody); return NO_BODY; },
    read: (r) => ({ kind: 'read', epoch: r.u64(), name: readName(r), wantBody: r.bool() }),
  },
  'read-reply': {
    ...WITH_INLINE_BODY, type: 0x45,
    write: (w, m) => {
      w.u64(m.epoch);
      w.ballot(m.promised);
      w.optional(m.accepted, writeAccepted);
      w.ballot(m.floor);
      return writeBodyPresence(w, m.body);
    },
    read: (r, body) => ({
      kind: 'read-reply', epoch: r.u64(), promised: r.ballot(), accepted: r.optional(readAccepted), floor: r.ballot(),
      body: readBodyPresence(r, body),
    }),
  },
  'stale-epoch': {
    headBytesMax: 1024, bodyBytesMax: FRAME_BODY_BYTES_MAX, type: 0x46,
    write: (w, m) => { w.u64(m.epoch); return m.layout === null ? NO_BODY : layoutBody(m.layout); },
    read: (r, body) => ({ kind: 'stale-epoch', epoch: r.u64(), layout: readOptionalLayout(body) }),
  },
};
