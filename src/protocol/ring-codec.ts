/** Codecs of the ring family: pings, gossip, joining and leaving. Small frames of the control connection. */
import { FRAME_HEAD_BYTES_MAX, MEMBERS_MAX } from '../domain/limits.ts';
import { SPACE_LEVELS } from '../domain/space-level.ts';
import { DecodeError, type BinaryReader } from '../encoding/binary-reader.ts';
import type { BinaryWriter } from '../encoding/binary-writer.ts';
import {
  NO_BODY, readAddressText, readBoot, readClusterId, readNodeId, readNodeRef, readPosition, readWord, writeBoot, writeClusterId,
  writeNodeId, writeNodeRef, writePosition, writeWord, type MessageCodec,
} from './message-fields.ts';
import type {
  CaughtReply, CaughtRequest, FindSuccessorReply, FindSuccessorRequest, GossipEntry, GossipState, JoinReply, JoinRequest,
  LeaveReply, LeaveRequest, NodeHealth, NotifyReply, NotifyRequest, PingReply, PingRequest, PositionCheckReply,
  PositionCheckRequest, ProbeReply, ProbeRequest, WhoAreYouReply, WhoAreYouRequest,
} from './message.ts';

const HEAD_ONLY = { headBytesMax: FRAME_HEAD_BYTES_MAX, bodyBytesMax: 0 } as const;
const DETAIL_BYTES_MAX = 4096;
const ARC_ENDS_MAX = FRAME_HEAD_BYTES_MAX / 8;

const GOSSIP_STATES: readonly GossipState[] = ['alive', 'restarting', 'suspect', 'down', 'left'];
const RING_STATES: readonly WhoAreYouReply['state'][] = ['empty', 'member'];
const JOIN_STATES: readonly JoinReply['state'][] = ['accepted', 'member', 'refused'];
const LEAVE_STATES: readonly LeaveReply['state'][] = ['accepted', 'gone', 'refused'];

function writeGossip(writer: BinaryWriter, entry: GossipEntry): void {
  writeNodeRef(writer, entry);
  writer.u64(entry.incarnation);
  writeWord(writer, GOSSIP_STATES, entry.state);
  writer.list(entry.accusers, writeNodeId);
  writer.u64(entry.downForMs);
}

function readGossip(reader: BinaryReader): GossipEntry {
  const { nodeId, name, advertise } = readNodeRef(reader);
  const incarnation = reader.u64();
  const state = readWord(reader, GOSSIP_STATES);
  return { nodeId, name, advertise, incarnation, state, accusers: reader.list(MEMBERS_MAX, 16, readNodeId), downForMs: reader.u64() };
}

function writeHealth(writer: BinaryWriter, health: NodeHealth): void {
  writer.u8(health.awareness);
  writer.f64(health.loopDelayMs);
  writer.f64(health.diskUsed);
  writeWord(writer, SPACE_LEVELS, health.space);
  writer.bool(health.isDiskSlow);
}

function readHealth(reader: BinaryReader): NodeHealth {
  const awareness = reader.u8();
  const loopDelayMs = reader.f64();
  const diskUsed = reader.f64();
  if (awareness > 8 || !(loopDelayMs >= 0) || !(diskUsed >= 0)) throw new DecodeError('health out of range');
  return { awareness, loopDelayMs, diskUsed, space: readWord(reader, SPACE_LEVELS), isDiskSlow: reader.bool() };
}

function readWeight(reader: BinaryReader): number {
  const weight = reader.f64();
  if (!(weight > 0 && weight < Infinity)) throw new DecodeError(`weight ${weight}`);
  return weight;
}

export const RING_CODECS: {
  readonly 'ping': MessageCodec<PingRequest>;
  readonly 'ping-reply': MessageCodec<PingReply>;
  readonly 'probe': MessageCodec<ProbeRequest>;
  readonly 'probe-reply': MessageCodec<ProbeReply>;
  readonly 'who-are-you': MessageCodec<WhoAreYouRequest>;
  readonly 'who-are-you-reply': MessageCodec<WhoAreYouReply>;
  readonly 'find-successor': MessageCodec<FindSuccessorRequest>;
  readonly 'find-successor-reply': MessageCodec<FindSuccessorReply>;
  readonly 'join': MessageCodec<JoinRequest>;
  readonly 'join-reply': MessageCodec<JoinReply>;
  readonly 'leave': MessageCodec<LeaveRequest>;
  readonly 'leave-reply': MessageCodec<LeaveReply>;
  readonly 'notify': MessageCodec<NotifyRequest>;
  readonly 'notify-reply': MessageCodec<NotifyReply>;
  readonly 'caught': MessageCodec<CaughtRequest>;
  readonly 'caught-reply': MessageCodec<CaughtReply>;
  readonly 'position-check': MessageCodec<PositionCheckRequest>;
  readonly 'position-check-reply': MessageCodec<PositionCheckReply>;
} = {
  'ping': {
    ...HEAD_ONLY, type: 0x10,
    write: (w, m) => {
      writeNodeRef(w, m.from);
      writeBoot(w, m.boot);
      writeHealth(w, m.health);
      w.list(m.gossip, writeGossip);
      return NO_BODY;
    },
    read: (r) => ({ kind: 'ping', from: readNodeRef(r), boot: readBoot(r), health: readHealth(r), gossip: r.list(MEMBERS_MAX, 41, readGossip) }),
  },
  'ping-reply': {
    ...HEAD_ONLY, type: 0x11,
    write: (w, m) => {
      writeNodeRef(w, m.from);
      writeBoot(w, m.boot);
      writeHealth(w, m.health);
      w.optional(m.predecessor, writeNodeRef);
      w.list(m.successors, writeNodeRef);
      w.list(m.gossip, writeGossip);
      return NO_BODY;
    },
    read: (r) => ({
      kind: 'ping-reply', from: readNodeRef(r), boot: readBoot(r), health: readHealth(r), predecessor: r.optional(readNodeRef),
      successors: r.list(MEMBERS_MAX, 20, readNodeRef), gossip: r.list(MEMBERS_MAX, 41, readGossip),
    }),
  },
  'probe': {
    ...HEAD_ONLY, type: 0x12,
    write: (w, m) => { writeNodeRef(w, m.target); return NO_BODY; },
    read: (r) => ({ kind: 'probe', target: readNodeRef(r) }),
  },
  'probe-reply': {
    ...HEAD_ONLY, type: 0x13,
    write: (w, m) => { w.bool(m.isAnswered); return NO_BODY; },
    read: (r) => ({ kind: 'probe-reply', isAnswered: r.bool() }),
  },
  'who-are-you': {
    ...HEAD_ONLY, type: 0x14,
    write: (w, m) => { writeNodeRef(w, m.from); return NO_BODY; },
    read: (r) => ({ kind: 'who-are-you', from: readNodeRef(r) }),
  },
  'who-are-you-reply': {
    ...HEAD_ONLY, type: 0x15,
    write: (w, m) => {
      writeNodeRef(w, m.from);
      writeWord(w, RING_STATES, m.state);
      w.optional(m.clusterId, writeClusterId);
      w.optional(m.promisedFounder, writeNodeId);
      w.text(m.zone);
      w.f64(m.weight);
      w.u8(m.keyBits);
      return NO_BODY;
    },
    read: (r) => ({
      kind: 'who-are-you-reply', from: readNodeRef(r), state: readWord(r, RING_STATES), clusterId: r.optional(readClusterId),
      promisedFounder: r.optional(readNodeId), zone: readAddressText(r), weight: readWeight(r), keyBits: r.u8(),
    }),
  },
  'find-successor': {
    ...HEAD_ONLY, type: 0x16,
    write: (w, m) => { writePosition(w, m.position); w.u16(m.hops); return NO_BODY; },
    read: (r) => ({ kind: 'find-successor', position: readPosition(r), hops: r.u16() }),
  },
  'find-successor-reply': {
    ...HEAD_ONLY, type: 0x17,
    write: (w, m) => { writeNodeRef(w, m.node); w.u16(m.hops); return NO_BODY; },
    read: (r) => ({ kind: 'find-successor-reply', node: readNodeRef(r), hops: r.u16() }),
  },
  'join': {
    ...HEAD_ONLY, type: 0x18,
    write: (w, m) => { writeNodeRef(w, m.node); w.text(m.zone); w.f64(m.weight); w.u8(m.keyBits); return NO_BODY; },
    read: (r) => {
      const node = readNodeRef(r);
      const zone = readAddressText(r);
      return { kind: 'join', node, zone, weight: readWeight(r), keyBits: r.u8() };
    },
  },
  'join-reply': {
    ...HEAD_ONLY, type: 0x19,
    write: (w, m) => { writeWord(w, JOIN_STATES, m.state); w.text(m.detail); return NO_BODY; },
    read: (r) => ({ kind: 'join-reply', state: readWord(r, JOIN_STATES), detail: r.text(DETAIL_BYTES_MAX) }),
  },
  'leave': {
    ...HEAD_ONLY, type: 0x1a,
    write: (w, m) => { writeNodeId(w, m.nodeId); return NO_BODY; },
    read: (r) => ({ kind: 'leave', nodeId: readNodeId(r) }),
  },
  'leave-reply': {
    ...HEAD_ONLY, type: 0x1b,
    write: (w, m) => { writeWord(w, LEAVE_STATES, m.state); return NO_BODY; },
    read: (r) => ({ kind: 'leave-reply', state: readWord(r, LEAVE_STATES) }),
  },
  'notify': {
    ...HEAD_ONLY, type: 0x1c,
    write: (w, m) => { writeNodeRef(w, m.leaver); writeNodeRef(w, m.successor); return NO_BODY; },
    read: (r) => ({ kind: 'notify', leaver: readNodeRef(r), successor: readNodeRef(r) }),
  },
  'notify-reply': { ...HEAD_ONLY, type: 0x1d, write: () => NO_BODY, read: () => ({ kind: 'notify-reply' }) },
  'caught': {
    ...HEAD_ONLY, type: 0x1e,
    write: (w, m) => { writeNodeId(w, m.nodeId); w.u64(m.epoch); w.list(m.arcEnds, writePosition); return NO_BODY; },
    read: (r) => ({ kind: 'caught', nodeId: readNodeId(r), epoch: r.u64(), arcEnds: r.list(ARC_ENDS_MAX, 8, readPosition) }),
  },
  'caught-reply': { ...HEAD_ONLY, type: 0x1f, write: () => NO_BODY, read: () => ({ kind: 'caught-reply' }) },
  'position-check': {
    ...HEAD_ONLY, type: 0x20,
    write: (w, m) => { writeNodeId(w, m.nodeId); writeBoot(w, m.boot); return NO_BODY; },
    read: (r) => ({ kind: 'position-check', nodeId: readNodeId(r), boot: readBoot(r) }),
  },
  'position-check-reply': {
    ...HEAD_ONLY, type: 0x21,
    write: (w, m) => { w.bool(m.isConfirmed); writeBoot(w, m.remembered); return NO_BODY; },
    read: (r) => ({ kind: 'position-check-reply', isConfirmed: r.bool(), remembered: readBoot(r) }),
  },
};
