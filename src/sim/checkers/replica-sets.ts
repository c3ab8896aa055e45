/** I3: in every layout each arc is held by distinct members, and in a stable one by exactly min(n, members) of them. */
import type { Layout } from '../../domain/layout.ts';

/** One sentence an arc. */
export function checkReplicaSets({ epoch, phase, replicas, members, arcs }: Layout): readonly string[] {
  const ids = new Set(members.map(({ nodeId }) => nodeId));
  return arcs.flatMap(({ end, old, new: next }) => {
    for (const set of [old, next]) {
      if (new Set(set).size !== set.length) return [`in epoch ${epoch} the arc up to ${end} has one node twice`];
      if (phase === 'stable' && !set.every((id) => ids.has(id))) return [`in epoch ${epoch} the arc up to ${end} is held by a node that is no member`];
    }
    const wanted = Math.min(replicas, members.length);
    return phase === 'stable' && next.length !== wanted ? [`in epoch ${epoch} the arc up to ${end} has ${next.length} replicas instead of ${wanted}`] : [];
  });
}
