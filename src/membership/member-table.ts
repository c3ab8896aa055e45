/**
 * Member table: what this node holds of each member of its layout: the strongest rumour, and the highest epoch that the
 * node itself reported as persisted. It follows the layout: a node that is in no layout is nobody.
 *
 * Two rumours of one node merge by liveness/suspicion; about itself only this node speaks, by a higher incarnation.
 * How long a member has been down is counted in durations, which travel with the gossip: a new steward goes on counting.
 * Everything here is volatile and may be wrong: it chooses whom to ask, never what is true.
 * Source: protocol sections A.4 ("volatile"), A.6 and D.1.
 */
import type { Epoch, NodeId } from '../domain/ids.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { Layout } from '../domain/layout.ts';
import type { DownMember } from '../layout/automatic-out.ts';
import { MEMBERS_MAX } from '../domain/limits.ts';
import { bootOfIncarnation } from '../liveness/incarnation.ts';
import { accuse, accusersNeeded, mergeRumours, suspicionMs, type Rumour, type RumourState } from '../liveness/suspicion.ts';
import type { GossipEntry, NodeRef } from '../protocol/message.ts';
import { NO_NOTES, type MembershipNotes } from './membership-notes.ts';

interface MemberEntry {
  ref: NodeRef;
  rumour: Rumour;
  /** Since when the present rumour holds here. */
  since: MonotonicMs;
  /** Down without a break, and that part of it which this node has watched itself. */
  downForMs: number;
  watchedForMs: number;
}

/** news: to be passed on. correction: the sender has something old to say. known: nothing. */
export type RumourOutcome = 'news' | 'correction' | 'known';

/**
 * Milliseconds of down time that one look may add: a node that was frozen wakes with old rumours, and has not watched
 * anything meanwhile.
 */
const LOOK_MS_MAX = 1_000;

const UNHEARD: Rumour = { incarnation: 0, state: 'alive', accusers: [] };

export interface MemberTableOptions {
  /** Milliseconds a suspect has at least to refute, before the factor of the ring's size. */
  readonly suspicionBaseMs: number;
  /** Milliseconds after which a node that announced a restart may be accused like any other. */
  readonly restartGraceMs: number;
}

export class MemberTable {
  readonly #self: NodeRef;
  readonly #options: MemberTableOptions;
  readonly #notes: MembershipNotes;
  readonly #entries = new Map<NodeId, MemberEntry>();
  readonly #seen = new Map<NodeId, Epoch>();
  #lookedAt: MonotonicMs | null = null;

  constructor(self: NodeRef, options: MemberTableOptions, notes: MembershipNotes = NO_NOTES) {
    this.#self = self;
    this.#options = options;
    this.#notes = notes;
  }

  /** Follows a newly adopted layout: its members are known, others forgotten. */
  follow(layout: Layout, now: MonotonicMs): void {
    const ids = new Set(layout.members.map((member) => member.nodeId));
    for (const id of this.#entries.keys()) if (!ids.has(id)) this.#entries.delete(id);
    for (const id of this.#seen.keys()) if (!ids.has(id)) this.#seen.delete(id);
    for (const { nodeId, name, advertise } of layout.members) {
      if (nodeId === this.#self.nodeId) continue;
      const ref = { nodeId, name, advertise };
      const entry = this.#entries.get(nodeId);
      if (entry === undefined) this.#entries.set(nodeId, { ref, rumour: UNHEARD, since: now, downForMs: 0, watchedForMs: 0 });
      else entry.ref = ref;
    }
  }

  /** The layout was given up. */
  clear(): void {
    this.#entries.clear();
    this.#seen.clear();
  }

  /** Another member said this, of a member other than this node. */
  hear(entry: GossipEntry, now: MonotonicMs): RumourOutcome {
    const member = this.#entries.get(entry.nodeId);
    if (member === undefined) return 'known';
    const merged = mergeRumours(member.rumour, { incarnation: entry.incarnation, state: entry.state, accusers: entry.accusers });
    const isNews = merged !== member.rumour;
    if (isNews) this.#set(member, merged, now);
    // The longest that anybody knows of counts, for the same spell of being down: it ends with a higher incarnation only.
    if (merged.state === 'down' && entry.state === 'down' && entry.incarnation === merged.incarnation) member.downForMs = Math.max(member.downForMs, entry.downForMs);
    if (isNews) return 'news';
    return entry.incarnation < merged.incarnation && merged.state === 'alive' ? 'correction' : 'known';
  }

  /** This node found out itself that nobody reaches the member. True: that is news. */
  accuse(nodeId: NodeId, now: MonotonicMs): boolean {
    const member = this.#entries.get(nodeId);
    if (member === undefined) return false;
    const { rumour } = member;
    if (rumour.state === 'restarting' && elapsedMs(member.since, now) < this.#options.restartGraceMs) return false;
    const merged = accuse(rumour, this.#self.nodeId);
    if (merged === rumour) return false;
    this.#set(member, merged, now);
    return true;
  }

  /** Counts how long members have been down. To be called with every tick. */
  countDownTime(now: MonotonicMs): void {
    const passedMs = this.#lookedAt === null ? 0 : Math.min(elapsedMs(this.#lookedAt, now), LOOK_MS_MAX);
    this.#lookedAt = now;
    for (const member of this.#entries.values()) {
      if (member.rumour.state !== 'down') continue;
      member.downForMs += passedMs;
      member.watchedForMs += passedMs;
    }
  }

  /** The members that count as down. */
  get down(): ReadonlyMap<NodeId, DownMember> {
    return new Map([...this.#entries].filter(([, { rumour }]) => rumour.state === 'down'));
  }

  /** Turns suspects into downs whose time is over and who have enough accusers; returns them. */
  expireSuspicions(now: MonotonicMs): readonly NodeId[] {
    const downs: NodeId[] = [];
    const timeMs = suspicionMs(this.#options.suspicionBaseMs, this.#entries.size + 1);
    for (const [nodeId, member] of this.#entries) {
      if (member.rumour.state !== 'suspect' || elapsedMs(member.since, now) < timeMs) continue;
      if (member.rumour.accusers.length < accusersNeeded(this.#aliveOthersOf(nodeId))) continue;
      this.#set(member, { ...member.rumour, state: 'down' }, now);
      downs.push(nodeId);
    }
    return downs;
  }

  /** A node reported an epoch of this ring as persisted. True: higher than known. */
  sawEpoch(nodeId: NodeId, epoch: Epoch): boolean {
    if ((this.#seen.get(nodeId) ?? 0) >= epoch || (this.#seen.size >= 2 * MEMBERS_MAX && !this.#seen.has(nodeId))) return false;
    this.#seen.set(nodeId, epoch);
    return true;
  }

  get seen(): ReadonlyMap<NodeId, Epoch> {
    return this.#seen;
  }

  state(nodeId: NodeId): RumourState | null {
    return this.#entries.get(nodeId)?.rumour.state ?? null;
  }

  /** The newest process life of the member that was heard of; 0: none. */
  boot(nodeId: NodeId): number {
    return bootOfIncarnation(this.#entries.get(nodeId)?.rumour.incarnation ?? 0);
  }

  ref(nodeId: NodeId): NodeRef | null {
    return nodeId === this.#self.nodeId ? this.#self : this.#entries.get(nodeId)?.ref ?? null;
  }

  /** As sent to others. */
  gossipEntry(nodeId: NodeId): GossipEntry | null {
    const member = this.#entries.get(nodeId);
    return member === undefined ? null : { ...member.ref, ...member.rumour, downForMs: Math.floor(member.downForMs) };
  }

  /** The other members whose rumour is not `alive`. */
  get troubled(): readonly NodeId[] {
    return [...this.#entries].filter(([, member]) => member.rumour.state !== 'alive').map(([nodeId]) => nodeId);
  }

  /** All members but this node, in layout order. */
  get others(): readonly NodeId[] {
    return [...this.#entries.keys()];
  }

  #set(member: MemberEntry, rumour: Rumour, now: MonotonicMs): void {
    if (rumour.state !== member.rumour.state || rumour.incarnation !== member.rumour.incarnation) {
      member.since = now;
      member.downForMs = 0;
      member.watchedForMs = 0;
    }
    this.#tell(member.rumour, rumour);
    member.rumour = rumour;
  }

  #tell(from: Rumour, to: Rumour): void {
    if (to.state === from.state) return;
    if (to.state === 'suspect') this.#notes.suspected();
    else if (to.state === 'down') this.#notes.down();
    // A new process doesn't show that the one before it was wrongly accused.
    else if ((from.state === 'suspect' || from.state === 'down') && to.state !== 'left' && bootOfIncarnation(to.incarnation) === bootOfIncarnation(from.incarnation)) this.#notes.refuted();
  }

  #aliveOthersOf(nodeId: NodeId): number {
    let count = 1;
    for (const [id, { rumour }] of this.#entries) if (id !== nodeId && rumour.state === 'alive') count += 1;
    return count;
  }
}
