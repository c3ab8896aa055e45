/**
 * The ring as seen from one node, for people: members, shares, what each arc's live replicas allow, what still moves,
 * and in words whether everything is safe now. A pure function of the layout, liveness and the repair's progress.
 */
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { Strain } from '../ring/cluster-view.ts';
import { allReplicaSets, effectiveReplicas, type ReplicaSets } from '../ring/placement.ts';
import { shares } from '../ring/shares.ts';
import type { Fork } from '../membership/fork-watch.ts';
import { downInWords, recoveryWarnings, removalInWords, type DownMembers } from './member-report.ts';
import type { Liveness, RepairView, RingView } from './node-service.ts';

export interface RingReportInput {
  readonly layout: Layout | null;
  readonly keyBits: number;
  readonly self: NodeId;
  readonly liveness: (nodeId: NodeId) => Liveness;
  readonly down: DownMembers;
  readonly fork: Fork | null;
  readonly strain: Strain;
  readonly moves: RingView['moves'];
  readonly repair: RepairView;
}

export type ArcHealth = 'healthy' | 'degraded' | 'unavailable';

export function ringReport({ layout, keyBits, self, liveness, down: downMembers, fork, strain, moves, repair }: RingReportInput): RingView {
  if (layout === null) {
    return {
      clusterId: null, epoch: 0, phase: 'none', M: keyBits, replicas: 0, replicationFactor: 0, members: [], voters: [],
      arcs: { total: 0, healthy: 0, degraded: 0, unavailable: 0 }, moves, repair, isSafe: false,
      safety: 'This node is in no ring yet.', isRemovable: true, removal: 'Yes: this node is in no ring.', recoveries: [], warnings: [],
    };
  }
  const isUp = (nodeId: NodeId): boolean => isLive(liveness(nodeId));
  const arcs = arcHealth(layout, isUp);
  const share = shares(layout);
  const down = layout.members.filter((m) => !isUp(m.nodeId)).map((m) => m.name);
  const { isSafe, safety } = safetyInWords(layout, arcs, down, repair);
  const { isRemovable, removal } = removalInWords(layout, self, isUp, repair.underReplicatedObjects);
  const troubleOf = (nodeId: NodeId): string | null => {
    const member = downMembers.get(nodeId);
    return member === undefined ? null : downInWords(member);
  };
  return {
    clusterId: layout.clusterId,
    epoch: layout.epoch,
    phase: layout.phase,
    M: layout.keyBits,
    replicas: layout.replicas,
    replicationFactor: effectiveReplicas(layout),
    members: layout.members.map((m) => ({
      nodeId: m.nodeId,
      name: m.name,
      advertise: m.advertise,
      key: m.tokens[0] ?? 0,
      tokens: m.tokens,
      zone: m.zone,
      weight: m.weight,
      state: m.state,
      liveness: liveness(m.nodeId),
      downForMs: downMembers.get(m.nodeId)?.downForMs ?? 0,
      trouble: troubleOf(m.nodeId),
      disk: strain.full.has(m.nodeId) ? 'nearly full' : strain.slow.has(m.nodeId) ? 'slow' : 'ok',
      isVoter: layout.voters.includes(m.nodeId),
      ownedShare: share.get(m.nodeId)?.ownedShare ?? 0,
      heldShare: share.get(m.nodeId)?.heldShare ?? 0,
    })),
    voters: layout.members.filter((m) => layout.voters.includes(m.nodeId)).map((m) => m.name),
    arcs,
    moves,
    repair,
    isSafe,
    safety,
    isRemovable,
    removal,
    recoveries: layout.recoveries,
    warnings: [...warnings(layout, isUp), ...recoveryWarnings(layout, fork), ...strainWarnings(layout, strain)],
  };
}

/** Whether a node in that state counts as up for placement decisions. */
export function isLive(liveness: Liveness): boolean {
  return liveness === 'alive' || liveness === 'restarting';
}

/** healthy: all replicas are up. degraded: a majority of each active set is. unavailable: no majority. */
export function healthOfArc(sets: ReplicaSets, isUp: (nodeId: NodeId) => boolean): ArcHealth {
  if (sets.all.every(isUp)) return 'healthy';
  return hasMajority(sets.old, isUp) && hasMajority(sets.new, isUp) ? 'degraded' : 'unavailable';
}

function arcHealth(layout: Layout, isUp: (nodeId: NodeId) => boolean): RingView['arcs'] {
  const count = { total: 0, healthy: 0, degraded: 0, unavailable: 0 };
  for (const sets of allReplicaSets(layout)) {
    count.total += 1;
    count[healthOfArc(sets, isUp)] += 1;
  }
  return count;
}

function hasMajority(set: readonly NodeId[], isUp: (nodeId: NodeId) => boolean): boolean {
  return set.filter(isUp).length > set.length / 2;
}

function safetyInWords(layout: Layout, arcs: RingView['arcs'], down: readonly string[], repair: RepairView): { isSafe: boolean; safety: string } {
  const who = down.length === 0 ? '' : ` Down: ${down.join(', ')}.`;
  if (arcs.unavailable > 0) {
    return { isSafe: false, safety: `No: ${arcs.unavailable} of ${arcs.total} arcs have no live majority and answer 503 until their nodes return.${who}` };
  }
  if (arcs.degraded > 0) return { isSafe: false, safety: `Serving, but ${arcs.degraded} of ${arcs.total} arcs lack a live replica.${who}` };
  if (repair.underReplicatedObjects > 0 || repair.comparisonsLeft > 0) return { isSafe: false, safety: `Serving, every replica is up. ${repair.summary}` };
  if (layout.phase === 'moving') return { isSafe: true, safety: 'Yes; data is moving to its new owners, the old ones keep their copies until then.' };
  return { isSafe: true, safety: 'Yes: every replica of every arc is up.' };
}

function warnings(layout: Layout, isUp: (nodeId: NodeId) => boolean): string[] {
  const found: string[] = [];
  const copies = effectiveReplicas(layout);
  if (copies === 1) found.push('One member holds the only copy of everything: add two nodes.');
  if (copies === 2) found.push('Two copies: a majority is both, so one failure makes keys unavailable (never wrong) until it returns. Add a node.');
  if (layout.replicas % 2 === 0 && copies === layout.replicas && copies > 2) found.push('An even replication factor tolerates no more failures than the odd one below it.');
  if (!hasMajority(layout.voters, isUp)) found.push('No majority of the layout voters is up: nodes can neither join nor leave until one returns. If that never happens: docs/recover.md.');
  return found;
}

function strainWarnings(layout: Layout, strain: Strain): string[] {
  const found: string[] = [];
  const namesOf = (nodes: ReadonlySet<NodeId>): string => layout.members.filter(({ nodeId }) => nodes.has(nodeId)).map(({ name }) => name).join(', ');
  const full = namesOf(strain.full);
  const slow = namesOf(strain.slow);
  if (full !== '') found.push(`Nearly full: ${full}. Clients' files are refused where too many replicas are; reads and deletes go on. Enlarge the volumes or add a node.`);
  if (slow !== '') found.push(`Slow disks: ${slow}. They are read from last; look at their volumes.`);
  return found;
}
