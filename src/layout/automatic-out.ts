/**
 * Automatic out: which members that are down are to be taken out of the ring, so that their arcs are copied again from the
 * survivors. It is the only change of the layout that nobody asked for, hence the rails:
 *
 * - down for outAfter without a break: pods and machines come back with their disks, and waiting beats copying;
 * - n other members are up, otherwise nobody can take over the copies;
 * - no more than max(1, 1/4 of the members) are not up: more at once is a cut network or an outage, no lost disk;
 * - never a whole zone (of two members at least), for the same reason.
 *
 * A pure function of what one node sees. It may see wrongly: the outcome is only a wish for the next layout, needs a majority
 * of the voters, and a member taken out by mistake joins again. What that costs is copying, never data.
 * Source: protocol sections A.4 (11), D.1; the delay is that of Ceph's mon_osd_down_out_interval, the rails in its spirit.
 */
import { assertNever } from '../domain/assert.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Layout, LayoutMember } from '../domain/layout.ts';

export interface DownMember {
  /** Milliseconds that the ring has held it for down without a break, as far as is known here. */
  readonly downForMs: number;
  /** Milliseconds for which this node itself has watched that, awake. */
  readonly watchedForMs: number;
}

export interface OutSituation {
  /** Members that are not up here and now, for whatever reason: down, suspected, restarting. */
  readonly notUp: ReadonlySet<NodeId>;
  /** Those of them that count as down. */
  readonly down: ReadonlyMap<NodeId, DownMember>;
}

export interface OutOptions {
  /** Milliseconds; null: never. */
  readonly outAfterMs: number | null;
  /** Milliseconds that this node itself has to have watched it: what it only heard of may be old. */
  readonly outWatchMs: number;
}

/** due: to be taken out now. waits: in so many milliseconds. kept: not, as things are. */
export type OutVerdict =
  | { readonly kind: 'due' }
  | { readonly kind: 'waits'; readonly leftMs: number }
  | { readonly kind: 'kept'; readonly reason: OutRail };

export type OutRail =
  | { readonly kind: 'switched-off' }
  | { readonly kind: 'nobody-to-replace'; readonly up: number; readonly members: number; readonly needed: number }
  | { readonly kind: 'too-many-down'; readonly down: number; readonly members: number }
  | { readonly kind: 'whole-zone'; readonly zone: string };

/** A verdict for each member that is down. */
export function outVerdicts(layout: Layout, situation: OutSituation, options: OutOptions): ReadonlyMap<NodeId, OutVerdict> {
  const verdicts = new Map<NodeId, OutVerdict>();
  for (const member of layout.members) {
    const down = situation.down.get(member.nodeId);
    if (down !== undefined && member.state === 'member') verdicts.set(member.nodeId, verdict(layout, situation, options, member, down));
  }
  return verdicts;
}

/** The members whose verdict is `due`. */
export function membersDue(layout: Layout, situation: OutSituation, options: OutOptions): ReadonlySet<NodeId> {
  return new Set([...outVerdicts(layout, situation, options)].filter(([, { kind }]) => kind === 'due').map(([nodeId]) => nodeId));
}

function verdict(layout: Layout, situation: OutSituation, options: OutOptions, member: LayoutMember, down: DownMember): OutVerdict {
  const reason = railInTheWay(layout, situation, options, member);
  if (reason !== null) return { kind: 'kept', reason };
  const leftMs = Math.max((options.outAfterMs ?? 0) - down.downForMs, Math.min(options.outWatchMs, options.outAfterMs ?? 0) - down.watchedForMs);
  return leftMs <= 0 ? { kind: 'due' } : { kind: 'waits', leftMs };
}

function railInTheWay(layout: Layout, { notUp }: OutSituation, { outAfterMs }: OutOptions, member: LayoutMember): OutRail | null {
  if (outAfterMs === null) return { kind: 'switched-off' };
  const members = layout.members.filter((other) => other.state !== 'joining');
  const up = members.filter((other) => !notUp.has(other.nodeId)).length;
  if (up < layout.replicas) return { kind: 'nobody-to-replace', up, members: members.length, needed: layout.replicas };
  if (members.length - up > Math.max(1, Math.floor(members.length / 4))) return { kind: 'too-many-down', down: members.length - up, members: members.length };
  const zone = members.filter((other) => other.zone === member.zone);
  if (zone.length > 1 && zone.every((other) => notUp.has(other.nodeId))) return { kind: 'whole-zone', zone: member.zone };
  return null;
}

/** Why a member that is down stays in the ring, in words. */
export function railInWords(rail: OutRail): string {
  switch (rail.kind) {
    case 'switched-off': return 'members are never taken out by themselves here (--out-after 0)';
    case 'nobody-to-replace':
      return rail.members <= rail.needed ? `only ${rail.members} members: nobody can replace it` : `only ${rail.up} of ${rail.members} members are up and ${rail.needed} are needed to replace it`;
    case 'too-many-down': return `${rail.down} of ${rail.members} members are down: too many at once to be taken for lost`;
    case 'whole-zone': return `all of the zone ${rail.zone} is down: that is taken for an outage`;
    default: return assertNever(rail);
  }
}
