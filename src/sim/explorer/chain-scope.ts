/**
 * Scopes of the search of the layout chain: who is there, what is proposed, and which rules hold. What a proposal wishes
 * is worked out by the product's `nextLayout` at the moment it begins, from the layout its node has then.
 */
import { must } from '../../domain/assert.ts';
import type { ClusterId, Epoch, NodeId } from '../../domain/ids.ts';
import type { Layout } from '../../domain/layout.ts';
import { foundingLayout, type Joiner } from '../../layout/founding-layout.ts';
import { nextLayout } from '../../layout/next-layout.ts';
import type { LayoutKernelRules } from '../kernels/layout-kernel-rules.ts';
import { replicaId } from './register-scope.ts';

/** In a stable layout the node of that number joins or leaves, or nothing; in a moving one it ends in the new or in the old layout. */
export type Wish = { readonly join: number } | { readonly leave: number } | 'end' | 'abort' | 'probe';

export interface PlannedProposal {
  readonly node: number;
  /** Clock value of its ballots: fixed, so that every order of ballots occurs in some order of events. */
  readonly hlc: number;
  readonly wish: Wish;
}

export interface ChainScope {
  readonly name: string;
  readonly rules: LayoutKernelRules;
  readonly nodes: readonly NodeId[];
  readonly first: Layout;
  /** Indexes of the nodes that have the first layout at the beginning. */
  readonly holders: readonly number[];
  readonly proposals: readonly PlannedProposal[];
  /** Nothing is proposed after a layout of this epoch. */
  readonly epochMax: Epoch;
  /** Nodes that exit once they are no members any more. */
  readonly leavers: readonly number[];
}

const OPTIONS = { abortAfterMs: 1, settleMs: 0 };
/** Where on a ring of 256 positions each node's token is, by its name. */
const NAMES = ['n0:1', 'n1:1', 'n2:1', 'n3:1', 'n4:1'];

export function joinerOf(index: number): Joiner {
  const name = must(NAMES[index], 'a name');
  return { nodeId: replicaId(index), name, advertise: name, zone: '', weight: 1 };
}

export function foundedBy(count: number, replicas: number): Layout {
  const members = Array.from({ length: count }, (_, i) => joinerOf(i));
  return foundingLayout({ clusterId: replicaId(0) as string as ClusterId, keyBits: 8, replicas, tokensPerNode: 1, candidatesPerToken: 1, members });
}

/** What a node would propose after `layout`; null: nothing of that kind. `seen`: the epochs that nodes are known to have. */
export function wishOf(scope: Pick<ChainScope, 'nodes'>, layout: Layout, wish: Wish, seen: ReadonlyMap<NodeId, Epoch>): Layout | null {
  if (wish === 'probe' || (layout.phase === 'moving') !== (wish === 'end' || wish === 'abort')) return null;
  const all = new Set(scope.nodes);
  const joining = new Set(layout.members.filter((member) => member.state === 'joining').map((member) => member.nodeId));
  const ends = new Set(layout.arcs.map((arc) => arc.end));
  const situation = {
    joins: typeof wish === 'object' && 'join' in wish ? [joinerOf(wish.join)] : [],
    leaves: new Set(typeof wish === 'object' && 'leave' in wish ? [replicaId(wish.leave)] : []),
    outs: new Set<NodeId>(),
    live: wish === 'abort' ? all.difference(joining) : all,
    seen,
    caught: new Map(wish === 'end' ? scope.nodes.map((nodeId) => [nodeId, ends]) : []),
    layoutAgeMs: 10,
    caughtForMs: 10,
  };
  return nextLayout(layout, situation, OPTIONS);
}
