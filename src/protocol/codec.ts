/**
 * Messages to frames and back. The table has one entry for each kind of message (the compiler counts), made of the
 * families ring, layout, register, copy, stage, list, repair and erasure; the limits of a type come from the same entry that
 * encodes it.
 *
 * Invariants: decode(encode(m)) equals m; decoding never throws and never allocates more than the frame's own size
 * times a small constant, whatever the bytes (I24). A frame longer than its type's limits is never sent.
 */
import { DecodeError, BinaryReader } from '../encoding/binary-reader.ts';
import { BinaryWriter } from '../encoding/binary-writer.ts';
import { COPY_CODECS } from './copy-codec.ts';
import { ERASURE_CODECS } from './erasure-codec.ts';
import { FRAME_HEADER_BYTES, sealFrame, type Envelope, type Frame, type FrameLimits } from './frame.ts';
import { HELLO_LIMITS, HELLO_TYPE, REFUSAL_TYPE } from './hello.ts';
import { LAYOUT_CODECS } from './layout-codec.ts';
import { LIST_CODECS } from './list-codec.ts';
import { channelOf, type PeerMessage, type PeerReply, type PeerRequest, type ReplyByRequest, type RequestKind } from './message.ts';
import type { MessageCodec } from './message-fields.ts';
import { REPAIR_CODECS } from './repair-codec.ts';
import { REGISTER_CODECS } from './register-codec.ts';
import { RING_CODECS } from './ring-codec.ts';
import { STAGE_CODECS } from './stage-codec.ts';

export type MessageKind = PeerMessage['kind'];

const CODECS: { readonly [K in MessageKind]: MessageCodec<Extract<PeerMessage, { kind: K }>> } = {
  ...RING_CODECS,
  ...LAYOUT_CODECS,
  ...REGISTER_CODECS,
  ...COPY_CODECS,
  ...STAGE_CODECS,
  ...LIST_CODECS,
  ...REPAIR_CODECS,
  ...ERASURE_CODECS,
};

/** Kinds that may answer a request, beside `fault`. */
const REPLY_KINDS: { readonly [K in RequestKind]: readonly ReplyByRequest[K]['kind'][] } = {
  'ping': ['ping-reply'],
  'probe': ['probe-reply'],
  'who-are-you': ['who-are-you-reply'],
  'find-successor': ['find-successor-reply'],
  'join': ['join-reply'],
  'leave': ['leave-reply'],
  'notify': ['notify-reply'],
  'layout-fetch': ['layout-reply'],
  'layout-announce': ['layout-reply'],
  'layout-prepare': ['layout-prepare-reply', 'layout-reply'],
  'layout-accept': ['layout-accept-reply', 'layout-reply'],
  'recover-prepare': ['recover-prepare-reply', 'layout-reply'],
  'recover-adopt': ['recover-adopt-reply'],
  'caught': ['caught-reply'],
  'position-check': ['position-check-reply'],
  'prepare': ['prepare-reply', 'stale-epoch'],
  'accept': ['accept-reply', 'stale-epoch'],
  'read': ['read-reply', 'stale-epoch'],
  'body-fetch': ['body-fetch-reply'],
  'page': ['page-reply', 'stale-epoch'],
  'records': ['records-reply', 'stale-epoch'],
  'receipts': ['receipts-reply', 'stale-epoch'],
  'inspect': ['inspect-reply'],
  'stage': ['stage-reply'],
  'stage-end': ['stage-end-reply'],
  'stage-abort': ['stage-abort-reply'],
  'list': ['list-reply', 'stale-epoch'],
  'digests': ['digests-reply', 'stale-epoch'],
  'missed': ['missed-reply'],
  'tombstones': ['tombstones-reply', 'stale-epoch'],
  'erase': ['erase-reply', 'stale-epoch'],
};

export const REQUEST_KINDS = Object.keys(REPLY_KINDS) as readonly RequestKind[];

/** Kinds of the ring family (membership and layouts), requests and replies: they have the control connection for themselves. */
export const RING_KINDS: readonly MessageKind[] = [...new Set(REQUEST_KINDS.filter((kind) => channelOf(kind) === 'control').flatMap((kind) => [kind, ...REPLY_KINDS[kind]]))];

const RING_KINDS_BY_TYPE: ReadonlyMap<number, MessageKind> = new Map(RING_KINDS.map((kind) => [CODECS[kind].type, kind]));

/** The kind that frames of this type carry, when it is one of the ring family. */
export function ringKindOf(type: number): MessageKind | null {
  return RING_KINDS_BY_TYPE.get(type) ?? null;
}

const BY_TYPE: readonly (MessageCodec<PeerMessage> | undefined)[] = codecsByType();
const HEADER_SPACE = Buffer.alloc(FRAME_HEADER_BYTES);

/** What a decoder of peer frames allows, by type. */
export const FRAME_LIMITS: readonly (FrameLimits | undefined)[] = BY_TYPE.map((codec, type) =>
  type === HELLO_TYPE || type === REFUSAL_TYPE ? HELLO_LIMITS : codec,
);

function codecsByType(): (MessageCodec<PeerMessage> | undefined)[] {
  const byType = new Array<MessageCodec<PeerMessage> | undefined>(256).fill(undefined);
  for (const codec of Object.values(CODECS)) byType[codec.type] = codec as unknown as MessageCodec<PeerMessage>;
  return byType;
}

export type EncodeOutcome =
  /** One after the other on the wire; the last one is the message's own body, not a copy. */
  | { readonly kind: 'encoded'; readonly chunks: readonly Uint8Array[]; readonly bytes: number }
  /** The message doesn't fit a frame. */
  | { readonly kind: 'too-large'; readonly detail: string };

/** The message as a whole frame. */
export function encodeMessage(message: PeerMessage, envelope: Envelope): EncodeOutcome {
  const codec = CODECS[message.kind] as unknown as MessageCodec<PeerMessage>;
  const writer = new BinaryWriter();
  writer.raw(HEADER_SPACE);
  const body = codec.write(writer, message);
  const headed = writer.finish();
  const headBytes = headed.length - FRAME_HEADER_BYTES;
  if (headBytes > codec.headBytesMax || body.length > codec.bodyBytesMax) {
    return { kind: 'too-large', detail: `${message.kind} with ${headBytes} bytes of head and ${body.length} of body` };
  }
  sealFrame(headed, body, codec.type, envelope);
  return { kind: 'encoded', chunks: body.length === 0 ? [headed] : [headed, body], bytes: headed.length + body.length };
}

export type DecodeOutcome =
  | { readonly kind: 'message'; readonly message: PeerMessage }
  | { readonly kind: 'malformed'; readonly detail: string };

/** The message in a frame that a decoder with FRAME_LIMITS let through. */
export function decodeMessage(frame: Frame): DecodeOutcome {
  const codec = BY_TYPE[frame.type];
  if (codec === undefined) return { kind: 'malformed', detail: `frame type ${frame.type} is no message` };
  try {
    return { kind: 'message', message: codec.read(new BinaryReader(frame.head), frame.body) };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { kind: 'malformed', detail: `frame type ${frame.type}: ${error.message}` };
  }
}

export function isRequest(message: PeerMessage): message is PeerRequest {
  return Object.hasOwn(REPLY_KINDS, message.kind);
}

/** Whether the message may answer a request of this kind. */
export function isReplyTo(kind: RequestKind, message: PeerMessage): message is PeerReply {
  return message.kind === 'fault' || (REPLY_KINDS[kind] as readonly string[]).includes(message.kind);
}
