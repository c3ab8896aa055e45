/** Who this node is, what ring it would found, and the times of the membership machine, each with its reason. */
import { PING_INTERVAL_MS, PING_MISSES_MAX, PING_TIMEOUT_MS } from '../domain/limits.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { Position } from '../domain/ring-position.ts';
import type { LayoutSlot } from '../layout/chain-acceptor.ts';
import type { NodeRef } from '../protocol/message.ts';
import type { TokenAllocationOptions } from '../ring/token-allocation.ts';

/** What the node's disk remembers at start. */
export interface DurableState {
  readonly layout: Layout | null;
  readonly slot: LayoutSlot;
  /** Ends of arcs caught up in the present epoch. */
  readonly caught: ReadonlySet<Position>;
  readonly promisedFounder: NodeId | null;
}

export interface MembershipOptions {
  readonly self: NodeRef;
  /** Number of this process life: persisted, grows with each. */
  readonly boot: number;
  readonly zone: string;
  readonly weight: number;
  /** The ring that this node would found; M has to be that of a ring it joins. */
  readonly ring: TokenAllocationOptions;
  /** Before it founds a ring this node asks whether it may. */
  readonly asksToFound: boolean;
  readonly times: MembershipTimes;
}

export interface MembershipTimes {
  /** Milliseconds between two `tick` events. */
  readonly tickMs: number;
  readonly pingPeriodMs: number;
  readonly pingTimeoutMs: number;
  readonly pingMissesMax: number;
  /** Misses after which other nodes are asked to try. */
  readonly probeAfterMisses: number;
  /** Milliseconds a prober gives its own ping: below pingTimeoutMs, so that its answer comes in time. */
  readonly probeTimeoutMs: number;
  /** Reachable nodes that each node pings: more find a failure from more sides and cost more messages. */
  readonly watchedMax: number;
  /** Nodes told in one round of gossip, and asked in one round of probes. */
  readonly fanOut: number;
  readonly gossipIntervalMs: number;
  /** Tellings of one piece of news: this * ceil(log10(n + 1)). */
  readonly retransmitMultiplier: number;
  /** Milliseconds a suspect has to refute: this * max(1, log10 n). */
  readonly suspicionBaseMs: number;
  /** Milliseconds a node that announced a restart isn't accused. */
  readonly restartGraceMs: number;
  /** Milliseconds that a member is down until it is taken out of the ring; null: never. */
  readonly outAfterMs: number | null;
  /** Milliseconds that a node has to have watched that itself, before it proposes it. */
  readonly outWatchMs: number;
  /** Milliseconds that a survivor gets to answer a recovery; a layout may have to become durable first. */
  readonly recoverAskMs: number;
  /** Milliseconds after promising a recovery in which a node gives no vote in the layout chain: both rounds fit. */
  readonly recoverFenceMs: number;
  /** Milliseconds between two looks at the addresses of members that were given up. */
  readonly forkLookMs: number;
  /** Milliseconds between two attempts to join, found or leave. */
  readonly retryMs: number;
  /** Milliseconds until a question about rings, layouts or votes counts as unanswered. */
  readonly askTimeoutMs: number;
  /** Milliseconds after which a wish to join or to leave is forgotten when it isn't repeated. */
  readonly wishSilentMs: number;
  /** Milliseconds that a joiner stays with one member of the ring before it tries another. */
  readonly contactMs: number;
  /** Milliseconds between two reports of caught arcs: a new steward has to learn of them. */
  readonly reportMs: number;
  /** Milliseconds that a change is left to the steward, before another voter steps in; a random part of it is added. */
  readonly stepInMs: number;
  /** Milliseconds of rest after a round of votes that failed, at least; doubles up to proposalRestMaxMs. */
  readonly proposalRestMs: number;
  readonly proposalRestMaxMs: number;
  /** Age of a move at which a hopeless one is given up (A.4, 6). */
  readonly abortAfterMs: number;
  /** Milliseconds that a finished move waits for live stragglers. */
  readonly settleMs: number;
}

export const MEMBERSHIP_TIMES: MembershipTimes = {
  tickMs: 50,
  pingPeriodMs: PING_INTERVAL_MS,
  pingTimeoutMs: PING_TIMEOUT_MS,
  pingMissesMax: PING_MISSES_MAX,
  probeAfterMisses: 2,
  probeTimeoutMs: 350,
  watchedMax: 3,
  fanOut: 3,
  gossipIntervalMs: 200,
  retransmitMultiplier: 4,
  suspicionBaseMs: 4_000,
  restartGraceMs: 60_000,
  outAfterMs: 600_000,
  outWatchMs: 10_000,
  recoverAskMs: 4_000,
  recoverFenceMs: 10_000,
  forkLookMs: 10_000,
  retryMs: 500,
  askTimeoutMs: 1_000,
  wishSilentMs: 3_000,
  contactMs: 5_000,
  reportMs: 1_000,
  stepInMs: 2_000,
  proposalRestMs: 100,
  proposalRestMaxMs: 2_000,
  abortAfterMs: 10_000,
  settleMs: 3_000,
};
