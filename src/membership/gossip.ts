/**
 * Gossip: what a ping says of this node and of others, and what comes of that which others say.
 *
 * Beside the news a ping carries what is held against anybody, first of all against its receiver, so that an accusation
 * lost on the way is heard again, and a wrong one is refuted by the next reply.
 *
 * Invariant: of itself a node believes nobody; it refutes with a higher incarnation, unless it is true that it goes.
 * Cost: a piece of news is told about 4 log10(n) times by each node; at most some 50 entries of 130 bytes a ping.
 * Source: [SWIM] "Infection-Style Dissemination Component"; protocol A.5.
 */
import type { NodeId } from '../domain/ids.ts';
import type { MonotonicMs } from '../domain/instant.ts';
import { firstIncarnation } from '../liveness/incarnation.ts';
import type { RumourState } from '../liveness/suspicion.ts';
import type { Random } from '../ports/random.ts';
import type { GossipEntry, NodeRef } from '../protocol/message.ts';
import type { Exchange } from './exchange.ts';
import { GossipQueue } from './gossip-queue.ts';
import type { MemberTable } from './member-table.ts';

/** Entries of each sort in one ping; about 130 bytes each. */
const GOSSIP_ENTRIES_MAX = 16;

export interface GossipDeps {
  readonly self: NodeRef;
  readonly boot: number;
  readonly exchange: Exchange;
  readonly table: MemberTable;
  readonly random: Random;
  readonly retransmitMultiplier: number;
}

export interface GossipEvents {
  /** A new process of this member was heard of. */
  onRenewed(nodeId: NodeId): void;
  /** The member said itself that it is up. */
  onRefuted(nodeId: NodeId): void;
  /** Somebody missed this node, which is up. */
  onAccused(): void;
}

export class Gossip {
  readonly #deps: GossipDeps;
  readonly #events: GossipEvents;
  readonly #queue: GossipQueue;
  #incarnation: number;
  #selfState: RumourState = 'alive';
  #troubledOffset = 0;

  constructor(deps: GossipDeps, events: GossipEvents) {
    this.#deps = deps;
    this.#events = events;
    this.#queue = new GossipQueue(deps.retransmitMultiplier);
    this.#incarnation = firstIncarnation(deps.boot, deps.random.float());
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  /** What this node says of itself. */
  get selfState(): RumourState {
    return this.#selfState;
  }

  /** Pieces of news that this node still has to pass on. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** This node itself is news. */
  pushSelf(): void {
    this.#queue.push(this.#deps.self.nodeId);
  }

  /** From now on this node says that it goes. */
  goes(state: 'restarting' | 'left'): void {
    this.#selfState = state;
  }

  /** What this node found out about a member: passed on, and logged. */
  warnOf(nodeId: NodeId, message: string): void {
    this.#queue.push(nodeId);
    this.#log('warn', message, nodeId);
  }

  /** Takes in what another node says; returns the nodes of which it had something old to say. */
  hear(entries: readonly GossipEntry[], now: MonotonicMs): readonly NodeId[] {
    const { self, table } = this.#deps;
    const corrections: NodeId[] = [];
    for (const entry of entries) {
      if (entry.nodeId === self.nodeId) {
        this.#hearOfSelf(entry);
        continue;
      }
      const before = table.state(entry.nodeId);
      const bootBefore = table.boot(entry.nodeId);
      const outcome = table.hear(entry, now);
      if (outcome === 'correction') corrections.push(entry.nodeId);
      if (outcome !== 'news') continue;
      this.#queue.push(entry.nodeId);
      if (bootBefore !== 0 && table.boot(entry.nodeId) !== bootBefore) this.#events.onRenewed(entry.nodeId);
      const after = table.state(entry.nodeId);
      if (after === 'alive') this.#events.onRefuted(entry.nodeId);
      if (after !== before) this.#log(after === 'alive' ? 'info' : 'warn', after === 'alive' ? 'a member is back' : 'a member is said not to be up', entry.nodeId);
    }
    return corrections.slice(0, GOSSIP_ENTRIES_MAX);
  }

  /** This node itself, what is held against the receiver, what it has wrong, the news, and a turn of other troubles. */
  entriesFor(to: NodeId | null, corrections: readonly NodeId[]): readonly GossipEntry[] {
    const { self, table } = this.#deps;
    const chosen = new Set<NodeId>();
    if (to !== null && table.state(to) !== 'alive') chosen.add(to);
    for (const nodeId of corrections) chosen.add(nodeId);
    for (const nodeId of this.#queue.take(GOSSIP_ENTRIES_MAX, table.others.length + 1)) chosen.add(nodeId);
    const { troubled } = table;
    for (let i = 0; i < Math.min(GOSSIP_ENTRIES_MAX, troubled.length); i++) {
      const nodeId = troubled[(this.#troubledOffset + i) % troubled.length];
      if (nodeId !== undefined) chosen.add(nodeId);
    }
    this.#troubledOffset += 1;
    chosen.delete(self.nodeId);
    const entries: GossipEntry[] = [{ ...self, incarnation: this.#incarnation, state: this.#selfState, accusers: [], downForMs: 0 }];
    for (const nodeId of chosen) {
      const entry = table.gossipEntry(nodeId);
      if (entry !== null) entries.push(entry);
    }
    return entries;
  }

  #hearOfSelf(entry: GossipEntry): void {
    if (entry.incarnation > this.#incarnation) {
      this.#deps.exchange.emit({ kind: 'identity-doubled', detail: `another process runs with the identity of this node (its incarnation is ${entry.incarnation}, here it is ${this.#incarnation}): its disk was copied` });
      return;
    }
    if (this.#selfState !== 'alive' || entry.state === 'alive' || entry.incarnation < this.#incarnation) return;
    this.#incarnation = entry.incarnation + 1;
    this.#events.onAccused();
    this.pushSelf();
  }

  #log(level: 'info' | 'warn', message: string, nodeId: NodeId): void {
    const entry = this.#deps.table.gossipEntry(nodeId);
    this.#deps.exchange.emit({ kind: 'log', level, message, fields: { member: entry?.name, nodeId, state: entry?.state, incarnation: entry?.incarnation } });
  }
}
