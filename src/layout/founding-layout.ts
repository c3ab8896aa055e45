/**
 * The founding layout: epoch 1, stable, decided by the founding rules (A.7) instead of by voters. Members take their
 * tokens one after the other in the given order, so it is the same ring that joins in that order would have made.
 */
import type { ClusterId, NodeId } from '../domain/ids.ts';
import type { Layout, LayoutMember } from '../domain/layout.ts';
import { allocateTokens, type TokenAllocationOptions } from '../ring/token-allocation.ts';
import { foundingArcs } from './layout-arcs.ts';
import { voterCount } from './voter-choice.ts';

/** A node that wants to be a member. */
export interface Joiner {
  readonly nodeId: NodeId;
  /** `host:port`. */
  readonly name: string;
  readonly advertise: string;
  readonly zone: string;
  readonly weight: number;
}

export interface Founding extends TokenAllocationOptions {
  readonly clusterId: ClusterId;
  /** The initial nodes, in the order of the initial names; at least one. */
  readonly members: readonly Joiner[];
}

export function foundingLayout(founding: Founding): Layout {
  const { clusterId, keyBits, replicas, tokensPerNode, candidatesPerToken } = founding;
  const members: LayoutMember[] = [];
  for (const joiner of founding.members) members.push({ ...joiner, tokens: allocateTokens(joiner, members, founding), state: 'member' });
  members.sort(byNodeId);
  return {
    clusterId, epoch: 1, keyBits, replicas, tokensPerNode, candidatesPerToken, members,
    voters: members.slice(0, voterCount(members.length)).map((member) => member.nodeId),
    phase: 'stable',
    arcs: foundingArcs(members, replicas),
    recoveries: [],
  };
}

export function byNodeId(a: { readonly nodeId: NodeId }, b: { readonly nodeId: NodeId }): number {
  return a.nodeId < b.nodeId ? -1 : 1;
}
