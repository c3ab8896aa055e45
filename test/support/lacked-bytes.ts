/** What a change of the ring has to move at least: the bytes that the replica sets after it lacked before it. */
import type { NodeId } from '../../src/domain/ids.ts';
import type { Position } from '../../src/domain/ring-position.ts';
import type { RingView } from '../../src/node/node-service.ts';
import { hasher } from '../../src/ring/hasher.ts';
import { preferenceList } from '../../src/ring/preference-list.ts';
import { tokenRing } from '../../src/ring/token-ring.ts';

export interface Sized {
  readonly name: string;
  readonly size: number;
}

/** Those that hold the name once the ring is at rest in this layout. */
export function replicasOf(ring: RingView, name: string): NodeId[] {
  const tokens = tokenRing(ring.members.filter((m) => m.state !== 'leaving').map((m) => ({ nodeId: m.nodeId as NodeId, tokens: m.tokens as Position[], zone: m.zone })));
  return preferenceList(tokens, hasher(name, ring.M), ring.replicationFactor);
}

export function lackedBytes(before: RingView, after: RingView, objects: readonly Sized[]): number {
  let bytes = 0;
  for (const { name, size } of objects) {
    const had = new Set(replicasOf(before, name));
    bytes += size * replicasOf(after, name).filter((id) => !had.has(id)).length;
  }
  return bytes;
}

/**
 * The most that a change may have to move when the layouts on the way weren't all seen: a move takes two epochs, so more of them between
 * the two views mean more than one move, of members that went or came in an order that only the ring knows.
 */
export function lackedBytesAtMost(before: RingView, after: RingView, objects: readonly Sized[]): number {
  const idsBefore = new Set(before.members.map(({ nodeId }) => nodeId));
  const idsAfter = new Set(after.members.map(({ nodeId }) => nodeId));
  const changed = [...before.members.filter(({ nodeId }) => !idsAfter.has(nodeId)), ...after.members.filter(({ nodeId }) => !idsBefore.has(nodeId))];
  if (after.epoch - before.epoch <= 2 || changed.length < 2) return lackedBytes(before, after, objects);
  return Math.max(...changed.map((member) => {
    const members = idsBefore.has(member.nodeId) ? before.members.filter(({ nodeId }) => nodeId !== member.nodeId) : [...before.members, member];
    const between = { ...before, members };
    return lackedBytes(before, between, objects) + lackedBytesAtMost({ ...between, epoch: before.epoch + 2 }, after, objects);
  }));
}
