/**
 * What people have to know of members in trouble: who is down since when, when it will be taken out or why not, whether a
 * node may be removed now, and what came of recoveries. Sentences, made of the layout and of what this node sees.
 */
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import { railInWords, type DownMember, type OutVerdict } from '../layout/automatic-out.ts';
import { isMajority } from '../layout/next-layout.ts';
import type { Fork } from '../membership/fork-watch.ts';
import { allReplicaSets } from '../ring/placement.ts';

export type DownMembers = ReadonlyMap<NodeId, DownMember & { readonly verdict: OutVerdict }>;

/** One sentence about a member that is down. */
export function downInWords({ downForMs, verdict }: DownMember & { readonly verdict: OutVerdict }): string {
  return `down for ${durationText(downForMs)}; ${fateInWords(verdict)}`;
}

function fateInWords(verdict: OutVerdict): string {
  switch (verdict.kind) {
    case 'due': return 'is being taken out of the ring now';
    case 'waits': return `will be taken out in ${durationText(verdict.leftMs)} if it does not return`;
    case 'kept': return `stays a member: ${railInWords(verdict.reason)}`;
  }
}

/** Whether the data stays available, and complete once it has moved, when this node is stopped for good now; and how. */
export function removalInWords(layout: Layout, self: NodeId, isUp: (nodeId: NodeId) => boolean, underReplicatedObjects: number): { readonly isRemovable: boolean; readonly removal: string } {
  const others = layout.members.filter((member) => member.nodeId !== self && member.state === 'member');
  const refused = (why: string): { isRemovable: boolean; removal: string } => ({ isRemovable: false, removal: `No: ${why}.` });
  if (!layout.members.some((member) => member.nodeId === self)) return { isRemovable: true, removal: 'Yes: this node is no member.' };
  if (others.length === 0) return refused('this is the last member, and holds the only copies');
  if (layout.phase === 'moving') return refused('data is moving; wait until it has');
  if (underReplicatedObjects > 0) return refused(`${underReplicatedObjects} objects lack a copy elsewhere, as far as is known here`);
  const isUpWithout = (nodeId: NodeId): boolean => nodeId !== self && isUp(nodeId);
  const down = others.filter((member) => !isUp(member.nodeId)).map((member) => member.name);
  const isHolding = allReplicaSets(layout).every((sets) => isMajority(sets.old, isUpWithout)) && isMajority(layout.voters, isUpWithout);
  if (down.length > 0) return refused(`${down.join(', ')} ${down.length === 1 ? 'is' : 'are'} not up${isHolding ? '' : ', and arcs would lose their majority'}`);
  const fewer = others.length < layout.replicas ? ` ${others.length === 1 ? 'One copy' : `${others.length} copies`} of everything will be left.` : '';
  const stopped = isHolding ? '' : ' Do not just stop it: its arcs would lose their majority.';
  return { isRemovable: true, removal: `Yes, by leaving (dht leave): it hands its copies over first.${fewer}${stopped}` };
}

export function recoveryWarnings(layout: Layout, fork: Fork | null): string[] {
  const warnings: string[] = [];
  const last = layout.recoveries.at(-1);
  if (last !== undefined) {
    warnings.push(`This ring was recovered with possible loss of data at ${new Date(last.atMs).toISOString()} by ${last.by}, which gave up ${last.lost.join(', ')} (layout ${last.fromEpoch} to ${last.epoch}).`);
  }
  if (fork !== null) {
    warnings.push(`Two rings: ${fork.members.join(', ')} ${fork.members.length === 1 ? 'is' : 'are'} in another ring (layout ${fork.epoch}) that was recovered from the same members. Both took writes and never merge by themselves: see docs/recover.md.`);
  }
  return warnings;
}

function durationText(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
