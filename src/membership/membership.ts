/**
 * Membership: the whole ring brain of one node, as one pure state machine: an event and the time go in, effects come out.
 *
 * ```
 *                    Bootstrap   Join   Leave        who wants in or out
 *                         \       |       /
 *   FailureWatch ------> Steward -> ChainDriver      what should change, and the votes on it
 *   (MemberTable)               \   /
 *                            LayoutKeeper            the newest layout durable here
 *                                 |
 *                             Exchange               requests, replies, writes
 * ```
 * Liveness chooses whom to ask and what to propose; only a decided layout says who owns what. Nothing here waits, reads a
 * clock or draws but from the given stream, so a ring of machines can be run on a seed (sim/kernels).
 * Source: protocol sections A.3 to A.8 and D.1.
 */
import { assertNever } from '../domain/assert.ts';
import type { Epoch, NodeId } from '../domain/ids.ts';
import type { MonotonicMs } from '../domain/instant.ts';
import type { Layout } from '../domain/layout.ts';
import { isNewer } from '../layout/adoption.ts';
import type { DownMember, OutVerdict } from '../layout/automatic-out.ts';
import type { Random } from '../ports/random.ts';
import type { FaultReply, NodeRef, PeerReply } from '../protocol/message.ts';
import type { ClusterView } from '../ring/cluster-view.ts';
import { isMovingArc, memberById } from '../ring/placement.ts';
import { successorAt } from '../ring/pointers.ts';
import { Bootstrap } from './bootstrap.ts';
import { ChainDriver } from './chain-driver.ts';
import { Exchange } from './exchange.ts';
import { FailureWatch, type MemberLiveness } from './failure-watch.ts';
import { ForkWatch, type Fork } from './fork-watch.ts';
import { Join } from './join.ts';
import { LayoutKeeper } from './layout-keeper.ts';
import { Leave } from './leave.ts';
import { MemberTable } from './member-table.ts';
import type { MembershipEffect } from './membership-effect.ts';
import type { MembershipEvent } from './membership-event.ts';
import { NO_NOTES, type MembershipNotes, type PeerSuspicion } from './membership-notes.ts';
import type { DurableState, MembershipOptions } from './membership-options.ts';
import { Recover } from './recover.ts';
import { Steward } from './steward.ts';

export interface MembershipDeps {
  readonly random: Random;
  readonly durable: DurableState;
  readonly now: MonotonicMs;
  /** Left out: nobody counts. */
  readonly notes?: MembershipNotes;
}

/** idle: alone until told. replaced: another node has its name. failed: the order to join was given up. */
export interface MembershipState {
  readonly kind: 'idle' | 'joining' | 'member' | 'leaving' | 'left' | 'replaced' | 'failed';
  /** In words: for whom it waits, or why. */
  readonly detail: string;
}

export interface PendingMoves {
  /** Names of nodes that wait for the next move. */
  readonly joins: readonly string[];
  readonly leaves: readonly string[];
  /** Arcs that the present move is about. */
  readonly arcs: number;
}

interface NewerAt {
  readonly target: NodeRef;
  readonly epoch: Epoch;
}

export class Membership {
  readonly #options: MembershipOptions;
  readonly #exchange = new Exchange();
  readonly #table: MemberTable;
  readonly #keeper: LayoutKeeper;
  readonly #watch: FailureWatch;
  readonly #chain: ChainDriver;
  readonly #steward: Steward;
  readonly #recover: Recover;
  readonly #forks: ForkWatch;
  readonly #bootstrap: Bootstrap;
  readonly #join: Join;
  readonly #leave: Leave;
  /** Who reported a newer layout than the one here. */
  #newerAt: NewerAt | null = null;
  #isFetching = false;
  #view: ClusterView | null = null;

  constructor(deps: MembershipDeps, options: MembershipOptions) {
    this.#options = options;
    const { self, boot, times } = options;
    const { random, durable, now, notes = NO_NOTES } = deps;
    const exchange = this.#exchange;
    this.#table = new MemberTable(self, times, notes);
    this.#keeper = new LayoutKeeper({
      self: self.nodeId, exchange,
      mayTakeFirst: (layout, from) => this.#join.mayTakeFirst(layout, from),
      mayTakeRecovered: (shown, present) => this.#forks.mayTake(shown, present),
      onForked: (shown) => { this.#forks.noteFork(shown); },
      onChanged: (layout, at) => { this.#layoutChanged(layout, at); },
    }, durable.layout, durable.slot, now);
    const keeper = this.#keeper;
    const table = this.#table;
    this.#watch = new FailureWatch({ self, boot, exchange, keeper, table, random: random.fork('failure-watch'), times, notes });
    const watch = this.#watch;
    this.#chain = new ChainDriver({ self: self.nodeId, boot, exchange, keeper, random: random.fork('chain'), times, isFenced: (at) => this.#recover.isFenced(at) });
    this.#recover = new Recover({ self, exchange, keeper, table, random: random.fork('recover'), times, isUp: (nodeId) => watch.isUp(nodeId) });
    this.#forks = new ForkWatch({ self, exchange, keeper, times });
    this.#steward = new Steward({
      self, exchange, keeper, table, chain: this.#chain, random: random.fork('steward'), times,
      isUp: (nodeId) => watch.isUp(nodeId), unreachable: () => watch.unreachable,
    }, durable.caught);
    this.#bootstrap = new Bootstrap({ exchange, options }, durable.promisedFounder);
    this.#join = new Join({ options, exchange, keeper, bootstrap: this.#bootstrap, watch, notes });
    this.#leave = new Leave({ self, exchange, keeper, table, watch, times });
    if (durable.layout !== null) {
      table.follow(durable.layout, now);
      watch.layoutChanged();
      // Out of the layout when it stopped: it comes back, unless another has its name.
      if (!this.#leave.isWanted) this.#join.layoutChanged(durable.layout, now);
    }
    this.#refreshView();
  }

  /** Takes in one event; `now` never goes back. The effects are to be carried out in order. */
  step(event: MembershipEvent, now: MonotonicMs): readonly MembershipEffect[] {
    this.#dispatch(event, now);
    this.#watch.flush(now);
    this.#refreshView();
    return this.#exchange.takeEffects();
  }

  // ------------------------------------------------------------------------------------------------------- getters

  /** The same value as long as nothing changes. Null: no layout. A node that is no member any more still has one. */
  clusterView(): ClusterView | null {
    return this.#view;
  }

  memberLiveness(nodeId: NodeId): MemberLiveness {
    return this.#watch.liveness(nodeId);
  }

  get incarnation(): number {
    return this.#watch.incarnation;
  }

  get state(): MembershipState {
    if (this.#leave.hasLeft) return { kind: 'left', detail: this.#leave.detail };
    if (this.#leave.isWanted) return { kind: 'leaving', detail: this.#leave.detail };
    const { layout } = this.#keeper;
    const here = layout === null ? undefined : memberById(layout, this.#options.self.nodeId);
    if (here?.state === 'member') return { kind: 'member', detail: '' };
    if (here?.state === 'joining') return { kind: 'joining', detail: 'in the layout, catches up its arcs' };
    if (here?.state === 'lost') return { kind: 'joining', detail: 'was taken out of the ring while it was down, joins again when that is done' };
    if (here !== undefined || (layout !== null && layout.members.some((member) => member.name === this.#options.self.name))) {
      return { kind: 'replaced', detail: 'another node took over this name' };
    }
    if (this.#join.isUnderWay) return { kind: 'joining', detail: this.#join.detail };
    return this.#join.detail === '' ? { kind: 'idle', detail: 'waits for the command to join' } : { kind: 'failed', detail: this.#join.detail };
  }

  get pendingMoves(): PendingMoves {
    const arcs = this.#keeper.layout?.arcs.filter(isMovingArc).length ?? 0;
    return { ...this.#steward.pending, arcs };
  }

  /** What is to become of each member that is down, as seen here. */
  get downMembers(): ReadonlyMap<NodeId, DownMember & { readonly verdict: OutVerdict }> {
    const { down } = this.#table;
    const verdicts = [...this.#steward.outVerdicts];
    return new Map(verdicts.flatMap(([nodeId, verdict]) => {
      const member = down.get(nodeId);
      return member === undefined ? [] : [[nodeId, { ...member, verdict }]];
    }));
  }

  /** Another ring that came out of this one by a recovery; null: none is known. */
  get fork(): Fork | null {
    return this.#forks.fork;
  }

  /** How much this node distrusts its own measurements: 0 to 8. */
  get awareness(): number {
    return this.#watch.awareness;
  }

  /** Pieces of news that this node still has to pass on. */
  get newsWaiting(): number {
    return this.#watch.newsWaiting;
  }

  /** What this node makes of each other member. */
  get suspicions(): readonly PeerSuspicion[] {
    return this.#watch.suspicions;
  }

  /** The ring needs this node no more. */
  get hasLeft(): boolean {
    return this.#leave.hasLeft;
  }

  // -------------------------------------------------------------------------------------------------------- events

  #dispatch(event: MembershipEvent, now: MonotonicMs): void {
    switch (event.kind) {
      case 'tick': return this.#tick(event.position, now);
      case 'request': return this.#serve(event, now);
      case 'reply': return this.#exchange.replied(event.tag, event.from, event.reply, now);
      case 'no-reply': return this.#exchange.failed(event.tag, event.failure, event.detail, now);
      case 'persisted': return this.#exchange.persisted(event.tag, now);
      case 'abandon-refused': return this.#exchange.refused(event.tag, now);
      case 'peer-seen': return this.#peerSeen(event, now);
      case 'layout-seen': return void this.#keeper.offer(event.layout, null);
      case 'caught': return this.#steward.caughtHere(event.epoch, event.arcEnds, now);
      case 'health': return this.#watch.healthSample(event.loopDelayMs, event.disk, now);
      case 'join':
        this.#join.begin(event, now);
        return this.#join.tick(now);
      case 'founding-permitted': return this.#bootstrap.permit();
      case 'founding-refused': return this.#bootstrap.refuse(event.detail);
      case 'found': return this.#join.found(now);
      case 'orphans': return this.#steward.orphaned(event.names, now);
      case 'leave':
        this.#join.stop();
        this.#leave.begin(now);
        return this.#leave.tick(now);
      case 'recover': return this.#recover.begin(event.acceptDataLoss, event.atMs, now);
      case 'stopping': return this.#watch.farewell('restarting');
      default: assertNever(event);
    }
  }

  #tick(position: number, now: MonotonicMs): void {
    this.#watch.tick(position, now);
    this.#join.tick(now);
    this.#leave.tick(now);
    this.#forks.tick(now);
    this.#fetchNewer();
    this.#steward.tick(now);
  }

  #serve({ id, from, epoch, request }: Extract<MembershipEvent, { kind: 'request' }>, now: MonotonicMs): void {
    const { layout } = this.#keeper;
    switch (request.kind) {
      case 'ping': return this.#watch.servePing(id, request, now);
      case 'probe': return this.#watch.serveProbe(id, request);
      case 'who-are-you': return this.#bootstrap.serve(id, layout, now);
      case 'find-successor': {
        const node = layout === null ? null : successorAt(layout, request.position, this.#watch.unreachable);
        if (node === null) return this.#reply(id, notReady('knows no ring'));
        const { nodeId, name, advertise } = node;
        return this.#reply(id, { kind: 'find-successor-reply', node: { nodeId, name, advertise }, hops: request.hops });
      }
      case 'join':
        if (!this.#isServing) return this.#reply(id, notReady('is no member'));
        this.#reply(id, this.#steward.serveJoin(from.nodeId, request, now));
        return this.#steward.look(now);
      case 'leave':
        if (!this.#isServing) return this.#reply(id, notReady('is no member'));
        this.#reply(id, this.#steward.serveLeave({ nodeId: from.nodeId, epoch }, request, now));
        return this.#steward.look(now);
      case 'notify':
        this.#fetchFrom(request.successor);
        return this.#reply(id, { kind: 'notify-reply' });
      case 'layout-fetch': return this.#reply(id, { kind: 'layout-reply', layout });
      case 'layout-announce': return this.#serveAnnounce(id, from.nodeId, request.layout, now);
      case 'layout-prepare':
      case 'layout-accept': return this.#chain.serve(id, from.nodeId, request, now);
      case 'recover-prepare': return this.#recover.servePrepare(id, from.nodeId, request, now);
      case 'recover-adopt': return this.#recover.serveAdopt(id, from.nodeId, request, now);
      case 'caught':
        this.#steward.serveCaught(request, now);
        this.#reply(id, { kind: 'caught-reply' });
        return this.#steward.look(now);
      default: assertNever(request);
    }
  }

  /** Answers when the layout is durable, and shows its own only where that is newer. */
  #serveAnnounce(id: number, from: NodeId, shown: Layout, now: MonotonicMs): void {
    this.#keeper.offer(shown, from);
    const isKept = this.#keeper.whenSettled(() => {
      const { layout } = this.#keeper;
      // Shown a layout that it may not take: who showed it must not take it for told.
      if (layout !== null && layout.epoch < shown.epoch) return this.#reply(id, notReady('stays in its own ring'));
      this.#reply(id, { kind: 'layout-reply', layout: layout !== null && isNewer(layout, shown) ? layout : null });
    }, now);
    if (!isKept) this.#reply(id, notReady('too much waits for a layout'));
  }

  #peerSeen({ peer, clusterId, epoch }: Extract<MembershipEvent, { kind: 'peer-seen' }>, now: MonotonicMs): void {
    const { layout } = this.#keeper;
    if (layout === null || clusterId !== layout.clusterId || peer.nodeId === this.#options.self.nodeId) return;
    if (this.#table.sawEpoch(peer.nodeId, epoch)) this.#steward.noticed(now);
    if (epoch > Math.max(layout.epoch, this.#newerAt?.epoch ?? 0)) {
      this.#newerAt = { target: { nodeId: peer.nodeId, name: peer.name, advertise: peer.advertise }, epoch };
    }
  }

  /** A tick after it was noticed, for mostly the announcement comes by itself. */
  #fetchNewer(): void {
    const { layout, isChanging } = this.#keeper;
    if (this.#newerAt === null || layout === null || isChanging || this.#isFetching) return;
    const { target, epoch } = this.#newerAt;
    this.#newerAt = null;
    if (epoch > layout.epoch) this.#fetchFrom(target);
  }

  #fetchFrom(target: NodeRef): void {
    if (this.#isFetching || this.#keeper.layout === null) return;
    this.#isFetching = true;
    this.#exchange.ask<'layout-fetch'>(target, { kind: 'layout-fetch' }, this.#options.times.askTimeoutMs, (answer) => {
      this.#isFetching = false;
      if (answer.kind === 'reply' && answer.reply.layout !== null) this.#keeper.offer(answer.reply.layout, answer.from);
    });
  }

  #layoutChanged(layout: Layout | null, now: MonotonicMs): void {
    if (layout === null) this.#table.clear();
    else {
      this.#table.follow(layout, now);
      this.#exchange.emit({ kind: 'log', level: 'info', message: 'layout adopted', fields: { epoch: layout.epoch, phase: layout.phase, members: layout.members.length } });
    }
    this.#watch.layoutChanged();
    this.#chain.layoutChanged();
    this.#recover.layoutChanged();
    this.#forks.layoutChanged();
    this.#steward.layoutChanged(layout);
    this.#leave.layoutChanged(layout, now);
    if (!this.#leave.isWanted && !this.#leave.hasLeft) this.#join.layoutChanged(layout, now);
  }

  #refreshView(): void {
    const { layout } = this.#keeper;
    const { unreachable, strain } = this.#watch;
    if (layout === null) this.#view = null;
    else if (this.#view?.layout !== layout || this.#view.unreachable !== unreachable || this.#view.strain !== strain) {
      this.#view = { self: this.#options.self.nodeId, layout, unreachable, strain };
    }
  }

  get #isServing(): boolean {
    return this.#keeper.isMember && !this.#leave.hasLeft;
  }

  #reply(id: number, reply: PeerReply): void {
    this.#exchange.emit({ kind: 'reply', id, reply });
  }
}

function notReady(why: string): FaultReply {
  return { kind: 'fault', code: 'DHT_ERR_NOT_READY', detail: `this node ${why}` };
}
