/**
 * The layout: the numbered, decided truth about who owns what. Pointers (successor, predecessor) are derived from it
 * and liveness; gossip can never change it. Epoch e+1 is decided by the voters of e (see layout/).
 *
 * `arcs` always covers the whole ring: sorted by `end` ascending, arc i is (arcs[i-1].end, arcs[i].end], the first one
 * wraps over 0. In a stable layout `old` and `new` are the same list. Each list is a preference list: best first.
 * Source: protocol section A.4.
 */
import type { ClusterId, Epoch, NodeId } from './ids.ts';
import type { Position } from './ring-position.ts';

export type MemberState = 'joining' | 'member' | 'leaving' | 'lost';

export interface LayoutMember {
  readonly nodeId: NodeId;
  /** `host:port`: the seed's name; gives key and token 0. */
  readonly name: string;
  /** `host:port` that peers dial. */
  readonly advertise: string;
  /** Positions of the member's tokens; tokens[0] is its key (`hasher(host + port)`). */
  readonly tokens: readonly Position[];
  readonly zone: string;
  /** Relative capacity, 1 by default: tokens aim at a share proportional to it. */
  readonly weight: number;
  /**
   * joining: only in `new` lists. leaving: only in `old` lists, gone with the next stable layout. lost: the same, but the
   * ring took it out because it was down for so long; should it return, it joins again.
   */
  readonly state: MemberState;
}

export interface LayoutArc {
  /** Last position of the arc, inclusive. */
  readonly end: Position;
  /** Replica set that owns the arc until the move ends. */
  readonly old: readonly NodeId[];
  /** Replica set that owns it afterwards; the same list when nothing moves. */
  readonly new: readonly NodeId[];
  /** First epoch of each member's present unbroken run in old or new here; left out once the member reported it. */
  readonly since: ReadonlyMap<NodeId, Epoch>;
}

/**
 * One recovery by an operator: members were given up for lost, without the votes or copies that this would need
 * (layout/recovery.ts). The list of them is the layout's descent: a layout follows another only when it continues its list.
 */
export interface RecoveryRecord {
  /** Epoch of the layout that the recovery made. */
  readonly epoch: Epoch;
  /** Epoch of the layout that it was made from. */
  readonly fromEpoch: Epoch;
  /** Wall clock of the node that the operator spoke to, in milliseconds; only for people. */
  readonly atMs: number;
  /** Name of that node. */
  readonly by: string;
  /** Names of the members given up. */
  readonly lost: readonly string[];
}

export interface Layout {
  readonly clusterId: ClusterId;
  readonly epoch: Epoch;
  /** M. */
  readonly keyBits: number;
  /** n, the wanted number of copies; the effective number is min(n, members). */
  readonly replicas: number;
  readonly tokensPerNode: number;
  readonly candidatesPerToken: number;
  /** Sorted by nodeId. */
  readonly members: readonly LayoutMember[];
  /** Sorted by nodeId; 1 for 1 to 2 members, 3 for 3 to 6, 5 from 7 up. */
  readonly voters: readonly NodeId[];
  readonly phase: 'stable' | 'moving';
  readonly arcs: readonly LayoutArc[];
  /** Oldest first; empty in almost every ring. */
  readonly recoveries: readonly RecoveryRecord[];
}
