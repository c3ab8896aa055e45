/**
 * I14, at the moment of the acknowledgement: a majority of the name's replicas hold the value, or a newer one, with its body on
 * the same disk. A node that is down, or has no process to ask, counts as holding it: what it has is looked at after its start.
 * So does, for the caller to say, one whose body rotted while the write was under way: it was durable when it was counted.
 */
import { compareBallots, parseBallot } from '../../domain/ballot.ts';
import type { NodeId } from '../../domain/ids.ts';
import { hasher, objectKey } from '../../ring/hasher.ts';
import { replicaSets } from '../../ring/placement.ts';
import type { Layout } from '../../domain/layout.ts';
import type { RegisterStore } from '../../storage/register-store.ts';

export interface HoldingNode {
  readonly nodeId: NodeId;
  readonly store: Pick<RegisterStore, 'head' | 'holdsBody' | 'floor'>;
}

/** What is wrong, in words, or null. `layout`: the newest; `nodes`: those that can be asked. */
export function checkAcknowledged(name: string, versionText: string, layout: Layout, nodes: readonly HoldingNode[]): string | null {
  const version = parseBallot(versionText);
  if (version === null) return `"${name}" was acknowledged with the version ${versionText}`;
  const key = objectKey(name, layout.keyBits);
  const sets = replicaSets(layout, hasher(name, layout.keyBits));
  const replicas = sets.isMoving ? sets.old : sets.new;
  const lacking = replicas.filter((id) => {
    const node = nodes.find(({ nodeId }) => nodeId === id);
    if (node === undefined) return false;
    const head = node.store.head(key);
    if (head === null || compareBallots(head.accepted, version) < 0) return compareBallots(node.store.floor(key), version) < 0;
    return head.bodyId !== null && !node.store.holdsBody(key, head.bodyId);
  });
  if (2 * (replicas.length - lacking.length) > replicas.length) return null;
  return `"${name}" was acknowledged with the version ${versionText}, which ${lacking.length} of its ${replicas.length} replicas don't hold`;
}
