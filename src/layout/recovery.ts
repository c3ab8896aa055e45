/**
 * Recovery: a layout of the survivors alone, made on an operator's word when the voters or an arc's majority are gone for
 * good. It is the one change that votes don't allow, so it is refused while they would, and it says beforehand what it costs.
 *
 * The layout is a *moving* one: old sets are those before, new sets the preference lists of the survivors, and the normal
 * catch-up copies from one to the other. What differs is the old set of an arc that has no majority left:
 *
 * - Some replicas survive: a record may be on any one of them alone, so all of them have to be read. A majority is all of
 *   them when as many lost ones, less one, stay in the list beside them: [A, B, C] becomes [A, B, C, X, Y].
 * - None survives: all survivors of the ring take its place, with whatever copies of an earlier life they still have.
 *   What they have isn't discarded (no `since`): it is all there is.
 *
 * So nothing that a survivor holds is dropped, and no rule about quorums knows of recoveries. The move is never given up.
 * The epoch jumps by a random number, so that the epochs of two rings recovered apart don't meet; `recoveries` tells them
 * apart for good (descent.ts). Lost members aren't asked again: a node that finds itself lost waits until it is out, and
 * joins again.
 * Source: protocol section A.4 (12); in its spirit etcd's and Consul's recovery from the loss of a majority.
 */
import type { NodeId } from '../domain/ids.ts';
import type { Layout, LayoutArc, RecoveryRecord } from '../domain/layout.ts';
import { allReplicaSets, memberById, type ReplicaSets } from '../ring/placement.ts';
import { ringSize } from '../domain/ring-position.ts';
import { isRecoveryMove } from './descent.ts';
import { recoveryArcs } from './layout-arcs.ts';
import { isMajority } from './next-layout.ts';
import { voterCount } from './voter-choice.ts';

/** What is left without the members that are gone. */
export interface RecoveryAssessment {
  /** False: voters and every arc have a majority without them; nothing is to be recovered. */
  readonly isNeeded: boolean;
  readonly hasVoters: boolean;
  /** Part of the ring, 0 to 1, of which no replica is left: its objects are lost. */
  readonly lostShare: number;
  /** Part of the ring of which some replicas are left, but no majority: its newest writes may be lost. */
  readonly doubtfulShare: number;
  /** As few as possible of those gone whose return, with their disks, would make a recovery unnecessary. */
  readonly startInstead: readonly NodeId[];
}

export function assessRecovery(layout: Layout, gone: ReadonlySet<NodeId>): RecoveryAssessment {
  const isLeft = (nodeId: NodeId): boolean => !gone.has(nodeId);
  const shares = { lost: 0, doubtful: 0 };
  for (const sets of allReplicaSets(layout)) {
    if (isMajority(sets.old, isLeft)) continue;
    shares[sets.all.some(isLeft) ? 'doubtful' : 'lost'] += shareOf(sets, layout);
  }
  const hasVoters = isMajority(layout.voters, isLeft);
  return {
    isNeeded: isHelpless(layout, gone), hasVoters, lostShare: shares.lost, doubtfulShare: shares.doubtful, startInstead: startInstead(layout, gone),
  };
}

/** Whether members outside `except` have all that is needed to answer for some arc: their ring lives without the others. */
export function servesWithout(layout: Layout, live: ReadonlySet<NodeId>, except: ReadonlySet<NodeId>): boolean {
  const isThere = (nodeId: NodeId): boolean => live.has(nodeId) && !except.has(nodeId);
  return allReplicaSets(layout).some((sets) => isMajority(sets.old, isThere) && isMajority(sets.new, isThere));
}

/** The layout of the members that are not gone. */
export function recoveredLayout(layout: Layout, gone: ReadonlySet<NodeId>, record: RecoveryRecord): Layout {
  const survivors = layout.members.filter((member) => !gone.has(member.nodeId)).map((member) => ({ ...member, state: 'member' as const }));
  const lost = layout.members.filter((member) => gone.has(member.nodeId)).map((member) => ({ ...member, state: 'lost' as const }));
  const oldAt = (sets: ReplicaSets): { readonly old: readonly NodeId[]; readonly keepsAll: boolean } => {
    // A majority of old knows all that was acknowledged, also in the middle of a move.
    if (isMajority(sets.old, (nodeId) => !gone.has(nodeId))) return { old: sets.old, keepsAll: false };
    const left = sets.all.filter((nodeId) => !gone.has(nodeId));
    if (left.length > 0) return { old: padded(left, sets.all.filter((nodeId) => gone.has(nodeId))), keepsAll: false };
    return { old: padded(survivors.map((member) => member.nodeId), lost.map((member) => member.nodeId)), keepsAll: true };
  };
  const arcs: LayoutArc[] = recoveryArcs(layout, survivors, record.epoch, oldAt);
  return {
    ...layout,
    epoch: record.epoch,
    phase: 'moving',
    members: [...survivors, ...lost].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1)),
    voters: survivors.map((member) => member.nodeId).sort().slice(0, voterCount(survivors.length)),
    arcs,
    recoveries: [...layout.recoveries, record],
  };
}

/** `left` and so many of the others that a majority is all of `left`. */
function padded(left: readonly NodeId[], others: readonly NodeId[]): readonly NodeId[] {
  return [...left, ...others.slice(0, left.length - 1)];
}

function isHelpless(layout: Layout, gone: ReadonlySet<NodeId>): boolean {
  return !isMajority(layout.voters, (nodeId) => !gone.has(nodeId)) || !allReplicaSets(layout).every((sets) => hasMajorities(sets, gone, isRecoveryMove(layout)));
}

/** `mustEnd`: the move can't be given up, as every other can by the voters. */
function hasMajorities(sets: ReplicaSets, gone: ReadonlySet<NodeId>, mustEnd: boolean): boolean {
  const isLeft = (nodeId: NodeId): boolean => !gone.has(nodeId);
  return isMajority(sets.old, isLeft) && (!mustEnd || isMajority(sets.new, isLeft));
}

function shareOf(sets: ReplicaSets, layout: Layout): number {
  const size = ringSize(layout.keyBits);
  return ((sets.end - sets.from + size) % size || size) / size;
}

/** Gives one after the other back as long as that is needed, those first that help most; then drops who wasn't needed. */
function startInstead(layout: Layout, gone: ReadonlySet<NodeId>): readonly NodeId[] {
  const helpless = (missing: ReadonlySet<NodeId>): number =>
    allReplicaSets(layout).filter((sets) => !hasMajorities(sets, missing, isRecoveryMove(layout))).length + (isMajority(layout.voters, (id) => !missing.has(id)) ? 0 : 1);
  const without = (set: ReadonlySet<NodeId>, nodeId: NodeId): ReadonlySet<NodeId> => new Set([...set].filter((other) => other !== nodeId));
  let missing: ReadonlySet<NodeId> = gone;
  const back: NodeId[] = [];
  while (isHelpless(layout, missing) && missing.size > 0) {
    const [best] = [...missing].map((nodeId) => ({ nodeId, left: helpless(without(missing, nodeId)) })).sort((a, b) => a.left - b.left || (a.nodeId < b.nodeId ? -1 : 1));
    if (best === undefined) break;
    back.push(best.nodeId);
    missing = without(missing, best.nodeId);
  }
  return back.filter((nodeId, i) => {
    const spared = new Set([...missing, nodeId]);
    if (i === back.length - 1 || isHelpless(layout, spared)) return true;
    missing = spared;
    return false;
  });
}

/** What a recovery would cost, and what to try first, in words. */
export function costInWords(layout: Layout, gone: ReadonlySet<NodeId>): string {
  const { hasVoters, lostShare, doubtfulShare, startInstead: first } = assessRecovery(layout, gone);
  const nameOf = (nodeId: NodeId): string => memberById(layout, nodeId)?.name ?? nodeId;
  const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 2 : 1)} %`;
  const costs = [`Given up for good: ${[...gone].map(nameOf).sort().join(', ')}.`];
  if (lostShare > 0) costs.push(`No copy is left of ${percent(lostShare)} of all names: their objects are lost.`);
  if (doubtfulShare > 0) costs.push(`Of ${percent(doubtfulShare)} of all names fewer than a majority of the copies are left: the newest acknowledged writes and deletes there may be lost, older versions may come back.`);
  if (lostShare + doubtfulShare === 0) costs.push('No object is lost: every arc has a majority of its replicas.');
  if (!hasVoters) costs.push('The voters have no majority: a change of the layout that they decided last may be lost.');
  costs.push(`Instead, without any loss: start ${first.map(nameOf).sort().join(' and ')} with ${first.length === 1 ? 'its disk' : 'their disks'}.`);
  return costs.join(' ');
}
