/** The scopes of the search of the layout chain; small ones for the tests, large ones for `npm run sim:explore -- --large`. */
import { must } from '../../domain/assert.ts';
import type { Layout } from '../../domain/layout.ts';
import { ALL_LAYOUT_RULES } from '../kernels/layout-kernel-rules.ts';
import { foundedBy, wishOf, type ChainScope, type PlannedProposal, type Wish } from './chain-scope.ts';
import { replicaId } from './register-scope.ts';

const FOUR = [0, 1, 2, 3].map(replicaId);

export function proposal(node: number, hlc: number, wish: Wish): PlannedProposal {
  return { node, hlc, wish };
}

/** Three members, all voters; D would like to join. */
export const STABLE_CHAIN: ChainScope = {
  name: '', rules: ALL_LAYOUT_RULES, nodes: FOUR, first: foundedBy(3, 3), holders: [0, 1, 2], proposals: [], epochMax: 3, leavers: [],
};

/** B and C join A, who is the only voter: the next layout has three. */
export const GROWING_CHAIN: ChainScope = { ...STABLE_CHAIN, nodes: FOUR.slice(0, 3), first: movingFrom(2, { join: 2 }), holders: [0, 1, 2], epochMax: 4 };

function movingFrom(count: number, wish: Wish): Layout {
  const first = foundedBy(count, 3);
  return must(wishOf(STABLE_CHAIN, first, wish, new Map(FOUR.map((id) => [id, 1]))), 'a move');
}

/** A leaves B, who hasn't heard of it yet; A is the only voter. */
export const LEAVING_CHAIN: ChainScope = { ...STABLE_CHAIN, nodes: FOUR.slice(0, 2), first: movingFrom(2, { leave: 0 }), holders: [0, 1], epochMax: 4, leavers: [0] };

export const SMALL_CHAIN_SCOPES: readonly ChainScope[] = [
  { ...STABLE_CHAIN, name: 'a join against a leave', proposals: [proposal(0, 10, { join: 3 }), proposal(1, 11, { leave: 2 })], epochMax: 2 },
  { ...STABLE_CHAIN, name: 'a join against a leave, and a probe', proposals: [proposal(0, 10, { join: 3 }), proposal(1, 11, { leave: 2 }), proposal(2, 12, 'probe')], epochMax: 2 },
  { ...STABLE_CHAIN, name: 'a leave, then its end against its abort', proposals: [proposal(0, 10, { leave: 2 }), proposal(1, 11, 'end'), proposal(2, 12, 'abort')] },
  { ...GROWING_CHAIN, name: 'one voter becomes three: end against abort, then a leave', proposals: [proposal(0, 10, 'end'), proposal(1, 11, 'abort'), proposal(2, 12, { leave: 1 })] },
  { ...LEAVING_CHAIN, name: 'the only voter leaves', proposals: [proposal(0, 10, 'end'), proposal(1, 11, 'abort'), proposal(1, 12, 'probe')] },
];

export const LARGE_CHAIN_SCOPES: readonly ChainScope[] = [
  {
    ...STABLE_CHAIN, name: 'a join against a leave, then end against abort',
    proposals: [proposal(0, 10, { join: 3 }), proposal(1, 11, { leave: 2 }), proposal(0, 12, 'end'), proposal(1, 13, 'abort')],
  },
  { ...STABLE_CHAIN, name: 'three changes at once, and a probe', proposals: [proposal(0, 10, { join: 3 }), proposal(1, 11, { leave: 2 }), proposal(2, 12, { leave: 0 }), proposal(0, 13, 'probe')], epochMax: 2 },
];
