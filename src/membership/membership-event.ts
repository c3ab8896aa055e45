/**
 * What the membership machine hears of: the passing of time, messages, the outcome of its own requests and writes, and
 * the commands of this node's operator. A closed union; the shell in node/ translates everything into it.
 */
import type { ClusterId, Epoch, NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { PeerIdentity } from '../domain/peer-identity.ts';
import type { Position } from '../domain/ring-position.ts';
import type { DiskHealth, PeerReply, PeerRequest } from '../protocol/message.ts';

/** The kinds of the ring family that membership answers. A position check is the node's own affair (rule R16). */
export const MEMBERSHIP_KINDS = [
  'ping', 'probe', 'who-are-you', 'find-successor', 'join', 'leave', 'notify',
  'layout-fetch', 'layout-announce', 'layout-prepare', 'layout-accept', 'recover-prepare', 'recover-adopt', 'caught',
] as const;

export type MembershipKind = (typeof MEMBERSHIP_KINDS)[number];
export type MembershipRequest = Extract<PeerRequest, { kind: MembershipKind }>;

/** not-sent: it never left. no-answer: it may have arrived. wrong-node: another node, or a node of another ring, lives there. */
export type CallFailureKind = 'not-sent' | 'no-answer' | 'wrong-node';

export type MembershipEvent =
  /** Every `tickMs`. `position`: the fsynced log position, told to peers in pings (rule R16). */
  | { readonly kind: 'tick'; readonly position: number }
  /** A request that wants one `reply` effect with the same id. */
  /** `epoch`: of the sender's layout when it sent this. */
  | { readonly kind: 'request'; readonly id: number; readonly from: PeerIdentity; readonly epoch: Epoch; readonly request: MembershipRequest }
  /** What came of the `send` effect with this tag: exactly one of these two, within its time-out. */
  | { readonly kind: 'reply'; readonly tag: number; readonly from: NodeId; readonly reply: PeerReply }
  | { readonly kind: 'no-reply'; readonly tag: number; readonly failure: CallFailureKind; readonly detail: string }
  /** The write that an effect with this tag asked for is durable. A write that fails ends the process. */
  | { readonly kind: 'persisted'; readonly tag: number }
  /** The ring of one was not given up, because something is stored in it. */
  | { readonly kind: 'abandon-refused'; readonly tag: number }
  /** Any frame or HELLO of a peer: it persisted that epoch of that cluster (null and 0: it has no layout). */
  | { readonly kind: 'peer-seen'; readonly peer: PeerIdentity; readonly clusterId: ClusterId | null; readonly epoch: Epoch }
  /** A layout that came with another message (a register reply of a newer epoch). */
  | { readonly kind: 'layout-seen'; readonly layout: Layout }
  /** This node has caught up those arcs of that epoch, durably. */
  | { readonly kind: 'caught'; readonly epoch: Epoch; readonly arcEnds: readonly Position[] }
  /** Measured by the shell now and then: the event loop's delay, and how the disk is. */
  | { readonly kind: 'health'; readonly loopDelayMs: number; readonly disk: DiskHealth }
  /**
   * Become a member through any of the seeds (`host:port`). With `initialNames`, and itself among them, it takes part in
   * founding when no seed knows a ring (A.7). `whenMember` says what to do in a ring already: `stay` (a restart), `compare`
   * with the seeds' ring and fail if it is another, or `abandon` a ring of one that never stored anything for theirs.
   * `timeoutMs`: how long to look for a seed that knows a ring; null: for ever.
   */
  | {
    readonly kind: 'join';
    readonly seeds: readonly string[];
    readonly initialNames: readonly string[];
    readonly whenMember: 'stay' | 'compare' | 'abandon';
    readonly timeoutMs: number | null;
  }
  /** This node may found a ring: nothing records another one for its installation. */
  | { readonly kind: 'founding-permitted' }
  /** It may not (yet), because of this. */
  | { readonly kind: 'founding-refused'; readonly detail: string }
  /** Become a ring of one. */
  | { readonly kind: 'found' }
  /** These members are down and nobody wants them back (an orchestrator says so): they are to leave without their own asking. */
  | { readonly kind: 'orphans'; readonly names: readonly string[] }
  /** Hand everything over and leave for good. */
  | { readonly kind: 'leave' }
  /** The operator's word that the members that are down are gone for good. `atMs`: the wall clock, for people. */
  | { readonly kind: 'recover'; readonly acceptDataLoss: boolean; readonly atMs: number }
  /** A planned restart: peers are told that it is on purpose. */
  | { readonly kind: 'stopping' };
