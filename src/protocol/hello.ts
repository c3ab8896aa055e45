/**
 * HELLO: what both sides say first on every connection, and again when it changed (an empty node that got its cluster).
 * The dialler speaks first; the listener answers with its own HELLO, or with a refusal and closes.
 *
 * Versions: each side names the span of protocol versions it speaks; the highest common one is spoken. Clusters: two
 * nodes of different clusters refuse each other, so that a DNS mistake can't merge two rings; a node without a cluster
 * may talk to anyone, which is how it finds its ring.
 *
 * The head of a HELLO is read by all versions: fields are only appended.
 * Source: protocol sections A.3, G "HELLO".
 */
import type { ErrorCode } from '../domain/error-catalogue.ts';
import type { ClusterId, Epoch } from '../domain/ids.ts';
import type { PeerIdentity } from '../domain/peer-identity.ts';
import { BinaryReader, DecodeError } from '../encoding/binary-reader.ts';
import { BinaryWriter } from '../encoding/binary-writer.ts';
import { readErrorCode } from './copy-codec.ts';
import { FRAME_HEADER_BYTES, sealFrame, type Envelope, type Frame, type FrameLimits } from './frame.ts';
import { NO_BODY, readAddressText, readBoot, readClusterId, readNodeId, readWord, writeBoot, writeClusterId, writeWord } from './message-fields.ts';
import type { BootPosition, Channel } from './message.ts';

export const HELLO_TYPE = 1;
export const REFUSAL_TYPE = 2;
export const HELLO_LIMITS: FrameLimits = { headBytesMax: 4096, bodyBytesMax: 0 };

const CHANNELS: readonly Channel[] = ['control', 'data', 'body'];
const DETAIL_CHARS_MAX = 500;
const HEADER_SPACE = Buffer.alloc(FRAME_HEADER_BYTES);

export interface Hello {
  readonly versionMin: number;
  readonly versionMax: number;
  /** Bits of optional abilities; none are defined yet. */
  readonly features: number;
  /** Null: an empty node that looks for its ring. */
  readonly clusterId: ClusterId | null;
  readonly identity: PeerIdentity;
  /** The fsynced log position of this boot (rule R16). */
  readonly position: BootPosition;
  readonly epoch: Epoch;
  /** What the dialler uses the connection for. */
  readonly channel: Channel;
}

/** Why a HELLO was turned away. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly detail: string;
}

export function encodeHello(hello: Hello): Buffer {
  const writer = new BinaryWriter();
  writer.raw(HEADER_SPACE);
  writer.u16(hello.versionMin);
  writer.u16(hello.versionMax);
  writer.u32(hello.features);
  writer.optional(hello.clusterId, writeClusterId);
  writer.hex(hello.identity.nodeId, 16);
  writer.text(hello.identity.name);
  writer.text(hello.identity.advertise);
  writer.u64(hello.identity.incarnation);
  writeBoot(writer, hello.position);
  writeWord(writer, CHANNELS, hello.channel);
  return sealed(writer, HELLO_TYPE, { reqId: 0, epoch: hello.epoch, deadlineMs: 0 });
}

export function encodeRefusal(refusal: Refusal): Buffer {
  const writer = new BinaryWriter();
  writer.raw(HEADER_SPACE);
  writer.text(refusal.code);
  writer.text(refusal.detail.slice(0, DETAIL_CHARS_MAX));
  return sealed(writer, REFUSAL_TYPE, { reqId: 0, epoch: 0, deadlineMs: 0 });
}

function sealed(writer: BinaryWriter, type: number, envelope: Envelope): Buffer {
  const headed = writer.finish();
  sealFrame(headed, NO_BODY, type, envelope);
  return headed;
}

export type HelloOutcome =
  | { readonly kind: 'hello'; readonly hello: Hello }
  | { readonly kind: 'refusal'; readonly refusal: Refusal }
  | { readonly kind: 'malformed'; readonly detail: string };

/** Reads a HELLO or a refusal; any other frame is malformed here. */
export function decodeHello(frame: Frame): HelloOutcome {
  const reader = new BinaryReader(frame.head);
  try {
    if (frame.type === HELLO_TYPE) return { kind: 'hello', hello: readHello(reader, frame.epoch) };
    if (frame.type === REFUSAL_TYPE) return { kind: 'refusal', refusal: { code: readErrorCode(reader), detail: reader.text() } };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { kind: 'malformed', detail: `HELLO: ${error.message}` };
  }
  return { kind: 'malformed', detail: `frame type ${frame.type} before HELLO` };
}

function readHello(reader: BinaryReader, epoch: Epoch): Hello {
  const versionMin = reader.u16();
  const versionMax = reader.u16();
  const features = reader.u32();
  const clusterId = reader.optional(readClusterId);
  const identity = { nodeId: readNodeId(reader), name: readAddressText(reader), advertise: readAddressText(reader), incarnation: reader.u64() };
  return { versionMin, versionMax, features, clusterId, identity, position: readBoot(reader), epoch, channel: readWord(reader, CHANNELS) };
}

export type HelloVerdict =
  | { readonly kind: 'accepted'; readonly version: number }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** Whether the two may talk, and in which version. The same on both sides. */
export function judgeHello(own: Hello, theirs: Hello): HelloVerdict {
  const version = Math.min(own.versionMax, theirs.versionMax);
  if (version < own.versionMin || version < theirs.versionMin) {
    const detail = `${theirs.identity.name} speaks versions ${theirs.versionMin} to ${theirs.versionMax}, ${own.identity.name} ${own.versionMin} to ${own.versionMax}`;
    return { kind: 'refused', refusal: { code: 'DHT_ERR_PEER_VERSION', detail } };
  }
  if (own.clusterId !== null && theirs.clusterId !== null && own.clusterId !== theirs.clusterId) {
    const detail = `${theirs.identity.name} belongs to cluster ${theirs.clusterId}, ${own.identity.name} to ${own.clusterId}`;
    return { kind: 'refused', refusal: { code: 'DHT_ERR_CLUSTER_FOREIGN', detail } };
  }
  return { kind: 'accepted', version };
}
