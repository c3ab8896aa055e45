/**
 * What the ring should become next, as far as one node can see: a pure function of the decided layout and of the
 * situation. Whatever it returns is only a proposal for instance epoch + 1; if the situation was seen wrongly, time is
 * lost, never data, because quorums and catch-up don't trust it.
 *
 * ```
 *            something is pending, every moved arc has live majorities
 *   stable ------------------------------------------------------------> moving
 *      ^                                                                  |  |
 *      |   every moved arc: a majority of new has caught up;              |  |
 *      |   every joiner has persisted the moving layout                   |  |
 *      +------------------------------------------- stable(new) ----------+  |
 *      +------------------------------------------- stable(old) -------------+
 *          after abortAfterMs: a joiner is down, or a moved arc has no live majority
 * ```
 * A move takes everything pending at once; if that is impossible now, the first change that is possible alone. What
 * arrives during a move waits for the next. A member taken out for lost (automatic-out.ts) is a leaver that didn't ask. A new nodeId under an existing name takes over its tokens. The last member
 * can't leave. The number of copies follows min(n, members) by itself, since the lists are computed anew.
 * Source: protocol section A.4 (3) to (6), (11).
 */
import type { Epoch, NodeId } from '../domain/ids.ts';
import type { Layout, LayoutMember, MemberState } from '../domain/layout.ts';
import type { Position } from '../domain/ring-position.ts';
import { allReplicaSets, type ReplicaSets } from '../ring/placement.ts';
import { allocateTokens } from '../ring/token-allocation.ts';
import { isRecoveryMove } from './descent.ts';
import { byNodeId, type Joiner } from './founding-layout.ts';
import { nextArcs } from './layout-arcs.ts';
import { chooseVoters } from './voter-choice.ts';

export interface Situation {
  /** Nodes that asked to join, in order of arrival; members among them are ignored. */
  readonly joins: readonly Joiner[];
  /** Members that asked to leave; others are ignored. */
  readonly leaves: ReadonlySet<NodeId>;
  /** Members that are to be taken out because they are down (automatic-out.ts); others are ignored. */
  readonly outs: ReadonlySet<NodeId>;
  /** Nodes, members or not, that are up here and now, self included. */
  readonly live: ReadonlySet<NodeId>;
  /** Highest epoch that each node itself reported as persisted, self included. */
  readonly seen: ReadonlyMap<NodeId, Epoch>;
  /** Ends of the arcs of the *present* epoch that each node reported as caught up, self included. */
  readonly caught: ReadonlyMap<NodeId, ReadonlySet<Position>>;
  /** How long this node has known the present layout. */
  readonly layoutAgeMs: number;
  /** How long `moveProgress` has not been `waiting` here; 0 when it just changed. */
  readonly caughtForMs: number;
}

export interface NextLayoutOptions {
  /** Age of a move at which a hopeless one is given up. Higher: a joiner may be down longer; lower: joins fail in a storm. */
  readonly abortAfterMs: number;
  /** How long a finished move waits for live stragglers, so that old owners can release their copies soon. */
  readonly settleMs: number;
}

/** waiting: some moved arc lacks a majority of new. enough: all have it. complete: every live member of new has caught up. */
export type MoveProgress = 'waiting' | 'enough' | 'complete';

/** The value to propose for instance layout.epoch + 1; null: nothing to do now. */
export function nextLayout(layout: Layout, situation: Situation, options: NextLayoutOptions): Layout | null {
  return layout.phase === 'stable' ? startedMove(layout, situation) : endedMove(layout, situation, options);
}

/** How far the move of a moving layout is. */
export function moveProgress(layout: Layout, situation: Pick<Situation, 'live' | 'caught'>): MoveProgress {
  const hasCaught = (nodeId: NodeId, end: Position): boolean => situation.caught.get(nodeId)?.has(end) === true;
  const moved = movedArcs(layout);
  if (!moved.every((sets) => isMajority(sets.new, (nodeId) => hasCaught(nodeId, sets.end)))) return 'waiting';
  const isComplete = moved.every((sets) => sets.new.every((nodeId) => hasCaught(nodeId, sets.end) || !situation.live.has(nodeId)));
  return isComplete ? 'complete' : 'enough';
}

/** Whether more than half of the nodes satisfy the condition. */
export function isMajority(nodeIds: readonly NodeId[], condition: (nodeId: NodeId) => boolean): boolean {
  return nodeIds.filter(condition).length > nodeIds.length / 2;
}

// ----------------------------------------------------------------------------------------------- stable -> moving

interface Changes {
  readonly joins: readonly Joiner[];
  readonly leaves: readonly NodeId[];
  readonly outs: readonly NodeId[];
}

function startedMove(layout: Layout, situation: Situation): Layout | null {
  const { live } = situation;
  const isMember = (nodeId: NodeId): boolean => layout.members.some((member) => member.nodeId === nodeId);
  const joins = situation.joins.filter((joiner, i) =>
    !isMember(joiner.nodeId) && live.has(joiner.nodeId) && situation.joins.findIndex((other) => other.name === joiner.name && live.has(other.nodeId)) === i);
  const leaves = layout.members.map((member) => member.nodeId).filter((nodeId) => situation.leaves.has(nodeId));
  const outs = layout.members.map((member) => member.nodeId).filter((nodeId) => situation.outs.has(nodeId) && !situation.leaves.has(nodeId));
  const tries: Changes[] = [{ joins, leaves, outs }];
  if (joins.length + leaves.length + outs.length > 1) {
    for (const joiner of joins) tries.push({ joins: [joiner], leaves: [], outs: [] });
    for (const nodeId of leaves) tries.push({ joins: [], leaves: [nodeId], outs: [] });
    for (const nodeId of outs) tries.push({ joins: [], leaves: [], outs: [nodeId] });
  }
  for (const changes of tries) {
    if (changes.joins.length + changes.leaves.length + changes.outs.length === 0) continue;
    const moving = movingLayout(layout, changes, situation.seen);
    if (moving !== null && movedArcs(moving).every((sets) => hasLiveMajorities(sets, live))) return moving;
  }
  return null;
}

function movingLayout(layout: Layout, changes: Changes, seen: Situation['seen']): Layout | null {
  const joined: LayoutMember[] = [];
  let staying = layout.members.filter(({ nodeId }) => !changes.leaves.includes(nodeId) && !changes.outs.includes(nodeId));
  for (const joiner of changes.joins) {
    const namesake = layout.members.find((member) => member.name === joiner.name);
    staying = staying.filter((member) => member !== namesake);
    const tokens = namesake?.tokens ?? allocateTokens(joiner, [...staying, ...joined], layout);
    joined.push({ ...joiner, tokens, state: 'joining' });
  }
  const after = [...staying, ...joined];
  if (after.length === 0) return null;
  const isReplaced = ({ name }: LayoutMember): boolean => joined.some((member) => member.name === name);
  const going = layout.members.filter((member) => !staying.includes(member))
    .map((member) => inState(member, changes.outs.includes(member.nodeId) && !isReplaced(member) ? 'lost' : 'leaving'));
  return {
    ...layout,
    epoch: layout.epoch + 1,
    phase: 'moving',
    members: [...after, ...going].sort(byNodeId),
    arcs: nextArcs(layout, { before: layout.members, after }, seen),
  };
}

// ----------------------------------------------------------------------------------------------- moving -> stable

function endedMove(layout: Layout, situation: Situation, options: NextLayoutOptions): Layout | null {
  const progress = moveProgress(layout, situation);
  // A joiner that never showed the moving layout may be gone: its request arrived late. Better no member than a dead one.
  const hasJoined = layout.members.every((member) => member.state !== 'joining' || (situation.seen.get(member.nodeId) ?? 0) >= layout.epoch);
  if (hasJoined && (progress === 'complete' || (progress === 'enough' && situation.caughtForMs >= options.settleMs))) {
    const after = layout.members.filter((member) => member.state !== 'leaving' && member.state !== 'lost');
    const voters = chooseVoters(layout, after.map((member) => member.nodeId), situation.live, situation.seen);
    if (voters !== null) return stableLayout(layout, after, voters, situation.seen);
  }
  // What a recovery set out from is no layout that anybody could go back to.
  if (situation.layoutAgeMs < options.abortAfterMs || isRecoveryMove(layout) || !isHopeless(layout, situation.live)) return null;
  const before = layout.members.filter((member) => member.state !== 'joining');
  return stableLayout(layout, before, layout.voters, situation.seen);
}

function isHopeless(layout: Layout, live: ReadonlySet<NodeId>): boolean {
  return layout.members.some((member) => member.state === 'joining' && !live.has(member.nodeId))
    || movedArcs(layout).some((sets) => !hasLiveMajorities(sets, live));
}

function stableLayout(layout: Layout, owners: readonly LayoutMember[], voters: readonly NodeId[], seen: Situation['seen']): Layout {
  const members = owners.map((member) => inState(member, 'member'));
  return {
    ...layout,
    epoch: layout.epoch + 1,
    phase: 'stable',
    members,
    voters,
    arcs: nextArcs(layout, { before: members, after: members }, seen),
  };
}

// --------------------------------------------------------------------------------------------------------- shared

function movedArcs(layout: Layout): ReplicaSets[] {
  return allReplicaSets(layout).filter((sets) => sets.isMoving);
}

function hasLiveMajorities(sets: ReplicaSets, live: ReadonlySet<NodeId>): boolean {
  const isLive = (nodeId: NodeId): boolean => live.has(nodeId);
  return isMajority(sets.old, isLive) && isMajority(sets.new, isLive);
}

function inState(member: LayoutMember, state: MemberState): LayoutMember {
  return { ...member, state };
}
