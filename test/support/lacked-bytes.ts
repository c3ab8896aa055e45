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
