/**
 * Owner: the first reachable node of a position's preference list. The lists are those of `old` until the move ends:
 * ownership switches with the stable layout, at once for the whole ring.
 * Source: protocol sections A.5 and E (5); [Dynamo] "Execution of get () and put () operations" (coordinator).
 */
import type { NodeId } from '../domain/ids.ts';
import type { Position } from '../domain/ring-position.ts';
import type { ClusterView } from './cluster-view.ts';
import { replicaSets } from './placement.ts';

/** Null: no replica of the position is reachable. */
export function ownerOf(view: ClusterView, position: Position): NodeId | null {
  return reachableReplica(view, position, 0);
}

/** Who becomes owner when the present one fails; null: nobody. */
export function nextOwner(view: ClusterView, position: Position): NodeId | null {
  return reachableReplica(view, position, 1);
}

function reachableReplica(view: ClusterView, position: Position, rank: number): NodeId | null {
  const { old } = replicaSets(view.layout, position);
  let skip = rank;
  for (const nodeId of old) {
    if (!view.unreachable.has(nodeId) && skip-- === 0) return nodeId;
  }
  return null;
}
