/** Codecs of the layout chain: layouts travel in the frame's body, the ballots that decide on them in its head. */
import { FRAME_BODY_BYTES_MAX, FRAME_HEAD_BYTES_MAX, MEMBERS_MAX } from '../domain/limits.ts';
import type { Layout } from '../domain/layout.ts';
import { BinaryReader } from '../encoding/binary-reader.ts';
import { readLayout } from '../encoding/layout-encoding.ts';
import { layoutBody, NO_BODY, readNodeId, readOptionalLayout, readWord, writeNodeId, writeWord, type MessageCodec } from './message-fields.ts';
import type {
  LayoutAcceptReply, LayoutAcceptRequest, LayoutAnnounceRequest, LayoutFetchRequest, LayoutPrepareReply, LayoutPrepareRequest,
  LayoutReply, RecoverAdoptReply, RecoverAdoptRequest, RecoverPrepareReply, RecoverPrepareRequest,
} from './message.ts';

const SMALL_HEAD = { headBytesMax: 1024, bodyBytesMax: FRAME_BODY_BYTES_MAX } as const;
const PREPARE_STATES: readonly LayoutPrepareReply['state'][] = ['promised', 'refused'];
const ADOPT_STATES: readonly RecoverAdoptReply['state'][] = ['adopted', 'refused'];
const ACCEPT_STATES: readonly LayoutAcceptReply['state'][] = ['accepted', 'refused'];

const oneLayout = (body: Buffer): Layout => readLayout(new BinaryReader(body));

export const LAYOUT_CODECS: {
  readonly 'layout-fetch': MessageCodec<LayoutFetchRequest>;
  readonly 'layout-reply': MessageCodec<LayoutReply>;
  readonly 'layout-announce': MessageCodec<LayoutAnnounceRequest>;
  readonly 'layout-prepare': MessageCodec<LayoutPrepareRequest>;
  readonly 'layout-prepare-reply': MessageCodec<LayoutPrepareReply>;
  readonly 'layout-accept': MessageCodec<LayoutAcceptRequest>;
  readonly 'layout-accept-reply': MessageCodec<LayoutAcceptReply>;
  readonly 'recover-prepare': MessageCodec<RecoverPrepareRequest>;
  readonly 'recover-prepare-reply': MessageCodec<RecoverPrepareReply>;
  readonly 'recover-adopt': MessageCodec<RecoverAdoptRequest>;
  readonly 'recover-adopt-reply': MessageCodec<RecoverAdoptReply>;
} = {
  'layout-fetch': { ...SMALL_HEAD, type: 0x30, bodyBytesMax: 0, write: () => NO_BODY, read: () => ({ kind: 'layout-fetch' }) },
  'layout-reply': {
    ...SMALL_HEAD, type: 0x31,
    write: (_w, m) => (m.layout === null ? NO_BODY : layoutBody(m.layout)),
    read: (_r, body) => ({ kind: 'layout-reply', layout: readOptionalLayout(body) }),
  },
  'layout-announce': {
    ...SMALL_HEAD, type: 0x32,
    write: (_w, m) => layoutBody(m.layout),
    read: (_r, body) => ({ kind: 'layout-announce', layout: oneLayout(body) }),
  },
  'layout-prepare': {
    ...SMALL_HEAD, type: 0x33,
    write: (w, m) => { w.ballot(m.ballot); return layoutBody(m.layout); },
    read: (r, body) => ({ kind: 'layout-prepare', layout: oneLayout(body), ballot: r.ballot() }),
  },
  'layout-prepare-reply': {
    ...SMALL_HEAD, type: 0x34,
    write: (w, m) => {
      writeWord(w, PREPARE_STATES, m.state);
      w.ballot(m.promised);
      w.bool(m.accepted !== null);
      if (m.accepted === null) return NO_BODY;
      w.ballot(m.accepted.ballot);
      return layoutBody(m.accepted.value);
    },
    read: (r, body) => {
      const state = readWord(r, PREPARE_STATES);
      const promised = r.ballot();
      const accepted = r.bool() ? { ballot: r.ballot(), value: oneLayout(body) } : null;
      return { kind: 'layout-prepare-reply', state, promised, accepted };
    },
  },
  'layout-accept': {
    ...SMALL_HEAD, type: 0x35,
    write: (w, m) => { w.ballot(m.ballot); return layoutBody(m.layout, m.value); },
    read: (r, body) => {
      const layouts = new BinaryReader(body);
      return { kind: 'layout-accept', layout: readLayout(layouts), ballot: r.ballot(), value: readLayout(layouts) };
    },
  },
  'recover-prepare': {
    headBytesMax: FRAME_HEAD_BYTES_MAX, bodyBytesMax: FRAME_BODY_BYTES_MAX, type: 0x90,
    write: (w, m) => { w.ballot(m.ballot); w.list(m.lost, writeNodeId); return layoutBody(m.layout); },
    read: (r, body) => ({ kind: 'recover-prepare', layout: oneLayout(body), ballot: r.ballot(), lost: r.list(MEMBERS_MAX, 16, readNodeId) }),
  },
  'recover-prepare-reply': {
    ...SMALL_HEAD, type: 0x91, bodyBytesMax: 0,
    write: (w, m) => { writeWord(w, PREPARE_STATES, m.state); w.bool(m.isHalfDone); w.text(m.detail); return NO_BODY; },
    read: (r) => ({ kind: 'recover-prepare-reply', state: readWord(r, PREPARE_STATES), isHalfDone: r.bool(), detail: r.text() }),
  },
  'recover-adopt': {
    ...SMALL_HEAD, type: 0x92,
    write: (w, m) => { w.ballot(m.ballot); return layoutBody(m.layout); },
    read: (r, body) => ({ kind: 'recover-adopt', layout: oneLayout(body), ballot: r.ballot() }),
  },
  'recover-adopt-reply': {
    ...SMALL_HEAD, type: 0x93, bodyBytesMax: 0,
    write: (w, m) => { writeWord(w, ADOPT_STATES, m.state); w.text(m.detail); return NO_BODY; },
    read: (r) => ({ kind: 'recover-adopt-reply', state: readWord(r, ADOPT_STATES), detail: r.text() }),
  },
  'layout-accept-reply': {
    ...SMALL_HEAD, type: 0x36, bodyBytesMax: 0,
    write: (w, m) => { writeWord(w, ACCEPT_STATES, m.state); w.ballot(m.promised); return NO_BODY; },
    read: (r) => ({ kind: 'layout-accept-reply', state: readWord(r, ACCEPT_STATES), promised: r.ballot() }),
  },
};
