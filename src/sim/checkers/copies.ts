/**
 * The newest record of a name is on a majority of its replicas (invariant I14), and on no node is there a newer one.
 * Asked right after a read at rest, which makes sure of both.
 */
import type { Ballot } from '../../domain/ballot.ts';
import { ballotText, compareBallots, maxBallot, ZERO_BALLOT } from '../../domain/ballot.ts';
import type { NodeId } from '../../domain/ids.ts';
import { hasher, objectKey } from '../../ring/hasher.ts';
import { replicaSets } from '../../ring/placement.ts';
import type { NodeProgram } from '../sim-node.ts';

/** What is wrong, in words. `programs`: all nodes of a ring at rest. */
export function checkCopies(name: string, programs: readonly NodeProgram[]): readonly string[] {
  const layout = programs[0]?.layout() ?? null;
  if (layout === null) return ['there is no layout'];
  const key = objectKey(name, layout.keyBits);
  const replicas = replicaSets(layout, hasher(name, layout.keyBits)).new;
  const acceptedAt = new Map<NodeId, Ballot>(
    programs.map(({ service, store }) => [service.view().nodeId as NodeId, store.head(key)?.accepted ?? ZERO_BALLOT]),
  );
  const newest = [...acceptedAt.values()].reduce(maxBallot, ZERO_BALLOT);
  const copies = replicas.filter((nodeId) => compareBallots(acceptedAt.get(nodeId) ?? ZERO_BALLOT, newest) === 0).length;
  if (2 * copies > replicas.length) return [];
  return [`the newest record of "${name}" (${ballotText(newest)}) is on ${copies} of its ${replicas.length} replicas`];
}
