/**
 * A layout as bytes: on the wire and in the log. Arcs name members by index, so a ring of 30 nodes with 16 tokens each
 * takes about 20 KB.
 */
import type { ClusterId, NodeId } from '../domain/ids.ts';
import type { Layout, LayoutArc, LayoutMember, MemberState, RecoveryRecord } from '../domain/layout.ts';
import { MEMBERS_MAX, RECOVERIES_MAX } from '../domain/limits.ts';
import { KEY_BITS_MAX, KEY_BITS_MIN, type Position } from '../domain/ring-position.ts';
import { DecodeError, type BinaryReader } from './binary-reader.ts';
import type { BinaryWriter } from './binary-writer.ts';

const LAYOUT_ENCODING_VERSION = 1;
const MEMBER_STATES: readonly MemberState[] = ['joining', 'member', 'leaving', 'lost'];
/** Bits of the phase's byte. */
const PHASE_MOVING = 1;
const HAS_RECOVERIES = 2;
/** Entries of any list in a layout at most. */
const LIST_MAX = 100_000;

export function writeLayout(writer: BinaryWriter, layout: Layout): void {
  const indexOf = new Map<NodeId, number>(layout.members.map((m, i) => [m.nodeId, i]));
  const writeIndex = (w: BinaryWriter, id: NodeId): void => {
    const index = indexOf.get(id);
    if (index === undefined) throw new RangeError(`layout names ${id}, which is no member`);
    w.u16(index);
  };
  writer.u8(LAYOUT_ENCODING_VERSION);
  writer.hex(layout.clusterId, 16);
  writer.u64(layout.epoch);
  writer.u8(layout.keyBits);
  writer.u16(layout.replicas);
  writer.u16(layout.tokensPerNode);
  writer.u16(layout.candidatesPerToken);
  writer.u8((layout.phase === 'stable' ? 0 : PHASE_MOVING) + (layout.recoveries.length === 0 ? 0 : HAS_RECOVERIES));
  writer.list(layout.members, (w, m) => {
    w.hex(m.nodeId, 16);
    w.text(m.name);
    w.text(m.advertise);
    w.list(m.tokens, (v, token) => { v.u64(token); });
    w.text(m.zone);
    w.f64(m.weight);
    w.u8(MEMBER_STATES.indexOf(m.state));
  });
  writer.list(layout.voters, writeIndex);
  writer.list(layout.arcs, (w, arc) => {
    w.u64(arc.end);
    w.list(arc.old, writeIndex);
    w.list(arc.new, writeIndex);
    w.list([...arc.since], (v, [id, epoch]) => { writeIndex(v, id); v.u64(epoch); });
  });
  if (layout.recoveries.length === 0) return;
  writer.list(layout.recoveries, (w, recovery) => {
    w.u64(recovery.epoch);
    w.u64(recovery.fromEpoch);
    w.u64(recovery.atMs);
    w.text(recovery.by);
    w.list(recovery.lost, (v, name) => { v.text(name); });
  });
}

export function readLayout(reader: BinaryReader): Layout {
  const encodingVersion = reader.u8();
  if (encodingVersion !== LAYOUT_ENCODING_VERSION) throw new DecodeError(`layout encoding version ${encodingVersion}`);
  const clusterId = reader.hex(16) as ClusterId;
  const epoch = reader.epoch();
  const keyBits = reader.u8();
  if (keyBits < KEY_BITS_MIN || keyBits > KEY_BITS_MAX) throw new DecodeError(`M = ${keyBits}`);
  const replicas = reader.u16();
  const tokensPerNode = reader.u16();
  const candidatesPerToken = reader.u16();
  const phase = reader.u8();
  if (phase > (PHASE_MOVING | HAS_RECOVERIES)) throw new DecodeError(`layout phase ${phase}`);
  const readPosition = (r: BinaryReader): Position => {
    const position = r.u64();
    if (position >= 2 ** keyBits) throw new DecodeError(`position ${position} with M = ${keyBits}`);
    return position as Position;
  };
  const members = reader.list(MEMBERS_MAX, 40, (r): LayoutMember => {
    const nodeId = r.hex(16) as NodeId;
    const name = r.text();
    const advertise = r.text();
    const tokens = r.list(LIST_MAX, 8, readPosition);
    if (tokens.length === 0) throw new DecodeError('member without a token');
    const zone = r.text();
    const weight = r.f64();
    const state = MEMBER_STATES[r.u8()];
    if (state === undefined || !(weight > 0)) throw new DecodeError('member state or weight');
    return { nodeId, name, advertise, tokens, zone, weight, state };
  });
  const readMember = (r: BinaryReader): NodeId => {
    const member = members[r.u16()];
    if (member === undefined) throw new DecodeError('index of no member');
    return member.nodeId;
  };
  const voters = reader.list(MEMBERS_MAX, 2, readMember);
  const arcs = reader.list(LIST_MAX, 20, (r): LayoutArc => ({
    end: readPosition(r),
    old: r.list(MEMBERS_MAX, 2, readMember),
    new: r.list(MEMBERS_MAX, 2, readMember),
    since: new Map(r.list(MEMBERS_MAX, 10, (v) => [readMember(v), v.u64()] as const)),
  }));
  const recoveries = (phase & HAS_RECOVERIES) === 0 ? [] : reader.list(RECOVERIES_MAX, 30, (r): RecoveryRecord => ({
    epoch: r.u64(), fromEpoch: r.u64(), atMs: r.u64(), by: r.text(), lost: r.list(MEMBERS_MAX, 2, (v) => v.text()),
  }));
  return {
    clusterId, epoch, keyBits, replicas, tokensPerNode, candidatesPerToken, members, voters,
    phase: (phase & PHASE_MOVING) === 0 ? 'stable' : 'moving', arcs, recoveries,
  };
}
