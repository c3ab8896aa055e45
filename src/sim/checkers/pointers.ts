/**
 * Pointers after quiescence (invariants I4, I5): predecessor and successors of every node are those that sorting the
 * nodes' keys gives, so the intervals (predecessor, self] cover the ring once.
 */
import type { NodeView } from '../../node/node-service.ts';
import { SUCCESSORS_MAX } from '../../domain/limits.ts';

interface PlacedNode {
  readonly host: string;
  readonly port: number;
  readonly key: number;
}

const nameOf = (node: PlacedNode | null): string => (node === null ? 'none' : `${node.host}:${node.port}`);

/** What is wrong, one sentence a node. `views`: of all nodes that are up, and only those are members. */
export function checkPointers(views: readonly NodeView[]): readonly string[] {
  const ring = [...views].sort((a, b) => a.key - b.key || (a.nodeId < b.nodeId ? -1 : 1));
  return ring.flatMap((view, index) => {
    const at = (offset: number): string => nameOf(ring[(index + offset + ring.length) % ring.length] as NodeView);
    const successorCount = Math.min(SUCCESSORS_MAX, Math.max(1, ring.length - 1));
    const expected = {
      predecessor: at(-1),
      successor: at(1),
      successors: Array.from({ length: successorCount }, (_, i) => at(i + 1)).join(' '),
    };
    const shown = {
      predecessor: nameOf(view.predecessor),
      successor: nameOf(view.successor),
      successors: view.successors.map(nameOf).join(' '),
    };
    return (['predecessor', 'successor', 'successors'] as const)
      .filter((pointer) => shown[pointer] !== expected[pointer])
      .map((pointer) => `${nameOf(view)} shows ${pointer} ${shown[pointer]}, right is ${expected[pointer]}`);
  });
}
