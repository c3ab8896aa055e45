/**
 * Token ring: all tokens of some members, sorted; what the clockwise walks walk on.
 *
 * Tokens at the same position (possible for token 0 with a small M) are ordered by nodeId, so every node walks the same
 * way; the later one's arc is empty. Members are numbered in nodeId order, to keep walks free of string compares.
 * Cost: O(T log T) to build, T = tokens.
 */
import type { NodeId } from '../domain/ids.ts';
import type { Position } from '../domain/ring-position.ts';

/** What a walk has to know of a member. */
export interface RingMember {
  readonly nodeId: NodeId;
  readonly tokens: readonly Position[];
  readonly zone: string;
}

export interface TokenRing {
  /** Sorted by nodeId. */
  readonly nodeIds: readonly NodeId[];
  /** Zone number of each member. */
  readonly zones: readonly number[];
  readonly zoneCount: number;
  /** Positions of the tokens, ascending. */
  readonly positions: Position[];
  /** Member number of each token. */
  readonly holders: number[];
}

export function tokenRing(members: readonly RingMember[]): TokenRing {
  const sorted = [...members].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  const zoneNumbers = new Map<string, number>();
  const zones = sorted.map(({ zone }) => {
    const number = zoneNumbers.get(zone) ?? zoneNumbers.size;
    zoneNumbers.set(zone, number);
    return number;
  });
  const tokens = sorted.flatMap((member, holder) => member.tokens.map((position) => ({ position, holder })));
  tokens.sort((a, b) => a.position - b.position || a.holder - b.holder);
  return {
    nodeIds: sorted.map((member) => member.nodeId),
    zones,
    zoneCount: zoneNumbers.size,
    positions: tokens.map((token) => token.position),
    holders: tokens.map((token) => token.holder),
  };
}

/** Index of the first token at or clockwise after the position. */
export function tokenIndexAt(ring: TokenRing, position: Position): number {
  let low = 0;
  let high = ring.positions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ring.positions[middle] ?? 0) < position) low = middle + 1;
    else high = middle;
  }
  return low === ring.positions.length ? 0 : low;
}
