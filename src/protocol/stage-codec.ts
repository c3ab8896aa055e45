/**
 * Codecs of large bodies on their way to a replica. The bytes travel as the frame's body, as they are: encoding adds a
 * head and copies nothing, decoding hands out what the frame decoder allocated.
 */
import type { BodyId } from '../domain/ids.ts';
import { FRAME_BODY_BYTES_MAX, FRAME_HEAD_BYTES_MAX } from '../domain/limits.ts';
import { NO_BODY, readName, readWord, writeWord, type MessageCodec } from './message-fields.ts';
import type { StageAbortReply, StageAbortRequest, StageEndReply, StageEndRequest, StageReply, StageRequest } from './message.ts';

const HEAD_ONLY = { headBytesMax: FRAME_HEAD_BYTES_MAX, bodyBytesMax: 0 } as const;
const WITH_BODY = { headBytesMax: FRAME_HEAD_BYTES_MAX, bodyBytesMax: FRAME_BODY_BYTES_MAX } as const;
const STAGE_STATES: readonly StageReply['state'][] = ['ok', 'out-of-order', 'refused', 'full'];
const STAGE_END_STATES: readonly StageEndReply['state'][] = ['held', 'mismatch', 'refused'];

export const STAGE_CODECS: {
  readonly 'stage': MessageCodec<StageRequest>;
  readonly 'stage-reply': MessageCodec<StageReply>;
  readonly 'stage-end': MessageCodec<StageEndRequest>;
  readonly 'stage-end-reply': MessageCodec<StageEndReply>;
  readonly 'stage-abort': MessageCodec<StageAbortRequest>;
  readonly 'stage-abort-reply': MessageCodec<StageAbortReply>;
} = {
  'stage': {
    ...WITH_BODY, type: 0x60,
    write: (w, m) => { w.text(m.name); w.hex(m.bodyId, 16); w.u64(m.offset); return m.body; },
    read: (r, body) => ({ kind: 'stage', name: readName(r), bodyId: r.hex(16) as BodyId, offset: r.u64(), body }),
  },
  'stage-reply': {
    ...HEAD_ONLY, type: 0x61,
    write: (w, m) => { writeWord(w, STAGE_STATES, m.state); w.u64(m.length); return NO_BODY; },
    read: (r) => ({ kind: 'stage-reply', state: readWord(r, STAGE_STATES), length: r.u64() }),
  },
  'stage-end': {
    ...HEAD_ONLY, type: 0x62,
    write: (w, m) => { w.text(m.name); w.hex(m.bodyId, 16); w.u64(m.size); w.hex(m.sha256, 32); return NO_BODY; },
    read: (r) => ({ kind: 'stage-end', name: readName(r), bodyId: r.hex(16) as BodyId, size: r.u64(), sha256: r.hex(32) }),
  },
  'stage-end-reply': {
    ...HEAD_ONLY, type: 0x63,
    write: (w, m) => { writeWord(w, STAGE_END_STATES, m.state); return NO_BODY; },
    read: (r) => ({ kind: 'stage-end-reply', state: readWord(r, STAGE_END_STATES) }),
  },
  'stage-abort': {
    ...HEAD_ONLY, type: 0x64,
    write: (w, m) => { w.text(m.name); w.hex(m.bodyId, 16); return NO_BODY; },
    read: (r) => ({ kind: 'stage-abort', name: readName(r), bodyId: r.hex(16) as BodyId }),
  },
  'stage-abort-reply': {
    ...HEAD_ONLY, type: 0x65,
    write: () => NO_BODY,
    read: () => ({ kind: 'stage-abort-reply' }),
  },
};
