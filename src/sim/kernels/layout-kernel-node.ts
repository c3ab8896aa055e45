/**
 * A node of the layout kernel: the real rules of `layout/` (next layout, chain, adoption) around a toy store, so that
 * a wrong layout shows as a fork, a stuck ring, or a lost or resurrected item. Each position holds one versioned item or
 * tombstone; writes and reads go to majorities of old and of new; a tombstone that all replicas hold is erased (which is
 * what makes a replica dangerous that was away: without `since` it brings the item back).
 *
 * Handlers are synchronous and every change of the disk is durable at once. Each rule can be switched off, to prove
 * that the harness notices. Source: protocol sections A.4, C.1 (R12 to R14), H.2.
 */
import { compareBallots } from '../../domain/ballot.ts';
import type { Epoch, NodeId } from '../../domain/ids.ts';
import type { Layout } from '../../domain/layout.ts';
import { isInArc, type Position } from '../../domain/ring-position.ts';
import { adoption } from '../../layout/adoption.ts';
import { membersDue } from '../../layout/automatic-out.ts';
import { acceptorStep, EMPTY_SLOT, type ChainReply, type ChainRequest } from '../../layout/chain-acceptor.ts';
import { chainBallot, proposerStep, startProposal, type ProposerEffect, type ProposerState, type ProposerStep } from '../../layout/chain-proposer.ts';
import type { Joiner } from '../../layout/founding-layout.ts';
import { isMajority, moveProgress, nextLayout } from '../../layout/next-layout.ts';
import type { Random } from '../../ports/random.ts';
import { allReplicaSets, memberById, replicaSets, type ReplicaSets } from '../../ring/placement.ts';
import { KERNEL_POSITIONS, type Item, type KernelNet, type KernelNodeDisk, type KernelReply, type KernelRequest } from './layout-kernel-message.ts';
import { isAbortForMajority, sinceFromStable, sinceOfArc, type LayoutKernelRules } from './layout-kernel-rules.ts';

/** A node counts as down when it was silent for so long. */
const SILENCE_MS = 450;
/** A member is taken out when it was down for so long. */
const OUT = { outAfterMs: 1_000, outWatchMs: 0 };
const OPTIONS = { abortAfterMs: 1000, settleMs: 200 };
const PROPOSAL_TIMEOUT_MS = 300;
const DISCARD_DELAY_MS = 60;

export class LayoutKernelNode {
  readonly disk: KernelNodeDisk;
  readonly #net: KernelNet;
  readonly #random: Random;
  readonly #rules: LayoutKernelRules;
  readonly #names: readonly string[];
  isLeaving = false;

  readonly #heardAt = new Map<NodeId, number>();
  readonly #seen = new Map<NodeId, Epoch>();
  readonly #reported = new Map<NodeId, { readonly epoch: Epoch; readonly ends: ReadonlySet<Position> }>();
  readonly #joins = new Map<NodeId, Joiner>();
  readonly #leaves = new Set<NodeId>();
  readonly #pages = new Map<Position, Map<NodeId, KernelReply & { kind: 'page' }>>();
  #proposal: { state: ProposerState; readonly startedAt: number } | null = null;
  #hlc = 0;
  #adoptedAt: number;
  readonly #startedAt: number;
  #caughtSince: number | null = null;

  constructor(deps: { readonly disk: KernelNodeDisk; readonly net: KernelNet; readonly random: Random }, options: { readonly rules: LayoutKernelRules; readonly names: readonly string[] }) {
    this.disk = deps.disk;
    this.#net = deps.net;
    this.#random = deps.random;
    this.#rules = options.rules;
    this.#names = options.names;
    this.#adoptedAt = deps.net.now();
    this.#startedAt = deps.net.now();
  }

  get epoch(): Epoch {
    return this.disk.layout?.epoch ?? 0;
  }

  tick(): void {
    this.#hello();
    const { layout } = this.disk;
    if (layout === null) return;
    if (this.#mayExit(layout)) return this.#net.exit();
    if (layout.phase === 'moving') this.#catchUp(layout);
    this.#propose(layout);
  }

  handle(request: KernelRequest): KernelReply | null {
    if (request.kind === 'hello') return this.#onHello(request);
    if (request.kind === 'chain') return { kind: 'chain', reply: this.#vote(request.request) };
    const { layout, items, floors } = this.disk;
    if (this.#rules.epochFence && request.epoch !== this.epoch) {
      return layout !== null && layout.epoch > request.epoch ? { kind: 'layout', layout } : null;
    }
    switch (request.kind) {
      case 'page': return { kind: 'page', epoch: this.epoch, items: [...items], floors: [...floors] };
      case 'query': return { kind: 'item', item: items[request.at] ?? null };
      case 'store':
        this.#store(request.at, request.item);
        return { kind: 'stored' };
      case 'erase': {
        const item = items[request.at];
        if (layout?.phase !== 'stable' || item?.isTombstone !== true || item.version !== request.version) return null;
        items[request.at] = null;
        floors[request.at] = Math.max(floors[request.at] ?? 0, item.version);
        return { kind: 'stored' };
      }
    }
  }

  // ------------------------------------------------------------------------------------------------- operations

  write(at: number, item: Item, onDone: () => void): void {
    this.#exchange(at, (epoch) => ({ kind: 'store', epoch, at, item }), onDone);
  }

  /** The highest item of a quorum, written back to a quorum before it is told. */
  read(at: number, onDone: (item: Item | null) => void): void {
    this.#exchange(at, (epoch) => ({ kind: 'query', epoch, at }), (replies) => {
      const highest = highestItem([...replies.values()].map((reply) => (reply.kind === 'item' ? reply.item : null)));
      if (highest === null) onDone(null);
      else this.write(at, highest, () => { onDone(highest); });
    });
  }

  /** Erases a tombstone that all replicas hold. */
  erase(at: number): void {
    const { layout } = this.disk;
    if (layout?.phase !== 'stable') return;
    const { epoch } = layout;
    const replicas = setsAt(layout, at).all;
    const held = new Map<NodeId, Item | null>();
    for (const nodeId of replicas) {
      this.#ask(layout, nodeId, { kind: 'query', epoch, at }, (reply) => {
        if (reply.kind !== 'item' || held.has(nodeId)) return;
        held.set(nodeId, reply.item);
        if (held.size < replicas.length) return;
        const all = [...held.values()];
        const version = all[0]?.version ?? 0;
        if (!all.every((item) => item?.isTombstone === true && item.version === version)) return;
        for (const replica of replicas) this.#ask(layout, replica, { kind: 'erase', epoch, at, version }, () => undefined);
      });
    }
  }

  #exchange(at: number, requestAt: (epoch: Epoch) => KernelRequest, onQuorum: (replies: ReadonlyMap<NodeId, KernelReply>) => void): void {
    const { layout } = this.disk;
    if (layout === null) return;
    const sets = setsAt(layout, at);
    const replies = new Map<NodeId, KernelReply>();
    let isDone = false;
    for (const nodeId of sets.all) {
      this.#ask(layout, nodeId, requestAt(layout.epoch), (reply) => {
        // A round begins and ends in one epoch (R3): what an older one showed isn't written back in a newer.
        if (reply.kind === 'layout' || isDone || (this.#rules.epochFence && this.epoch !== layout.epoch)) return;
        replies.set(nodeId, reply);
        if (!this.#hasQuorum(sets, replies)) return;
        isDone = true;
        onQuorum(replies);
      });
    }
  }

  #hasQuorum(sets: ReplicaSets, replies: ReadonlyMap<NodeId, unknown>): boolean {
    const has = (nodeIds: readonly NodeId[]): boolean => isMajority(nodeIds, (nodeId) => replies.has(nodeId));
    return (this.#rules.quorum === 'new' || has(sets.old)) && (this.#rules.quorum === 'old' || has(sets.new));
  }

  #store(at: number, item: Item): void {
    const { items, floors } = this.disk;
    const present = items[at] ?? null;
    if (item.version > (present === null ? floors[at] ?? 0 : present.version)) items[at] = item;
  }

  /** A call that takes over a newer layout in the reply by itself. */
  #ask(layout: Layout, nodeId: NodeId, request: KernelRequest, onReply: (reply: KernelReply) => void): void {
    const member = memberById(layout, nodeId);
    if (member === undefined) return;
    this.#net.call(member.name, nodeId, request, (reply) => {
      if (reply.kind === 'layout') this.adopt(reply.layout);
      onReply(reply);
    });
  }

  // --------------------------------------------------------------------------------------------------- the layout

  adopt(layout: Layout): void {
    const { disk } = this;
    if (layout.epoch <= this.epoch) return;
    const discards = this.#rules.since === 'ignored' ? [] : adoption(disk.layout, layout, disk.nodeId).discards;
    const discard = (): void => {
      KERNEL_POSITIONS.forEach((position, at) => {
        if (!discards.some((arc) => isInArc(position, arc.from, arc.to))) return;
        disk.items[at] = null;
        disk.floors[at] = 0;
      });
    };
    if (this.#rules.discardWithLayout) discard();
    else this.#net.later(DISCARD_DELAY_MS, discard);
    disk.layout = layout;
    disk.slot = EMPTY_SLOT;
    if (this.#rules.caughtReset) disk.caught = new Set();
    this.#pages.clear();
    this.#proposal = null;
    this.#adoptedAt = this.#net.now();
    this.#caughtSince = null;
    this.#net.adopted(layout);
    this.#hello();
    if (layout.phase === 'moving') this.#catchUp(layout);
  }

  #vote(request: ChainRequest): ChainReply {
    const { disk } = this;
    if (!this.#rules.adoptBeforeSlot && request.layout.epoch > this.epoch) {
      // The bug: the vote is taken from the slot of an older instance, and lost with it at the adoption.
      const step = acceptorStep({ self: disk.nodeId, layout: request.layout, slot: disk.slot }, request);
      this.adopt(request.layout);
      if (step.kind !== 'adopt') return step.reply;
    }
    for (;;) {
      const step = acceptorStep({ self: disk.nodeId, layout: disk.layout, slot: disk.slot }, request);
      if (step.kind === 'adopt') {
        this.adopt(step.layout);
        continue;
      }
      if (step.kind === 'vote') disk.slot = step.slot;
      if (!this.#rules.acceptedIsNotDecided && step.reply.kind === 'accepted' && request.kind === 'accept') this.adopt(request.value);
      return step.reply;
    }
  }

  #propose(layout: Layout): void {
    const now = this.#net.now();
    const self = this.disk.nodeId;
    if (memberById(layout, self) === undefined) return;
    if (this.#proposal !== null && now - this.#proposal.startedAt < PROPOSAL_TIMEOUT_MS) return;
    const live = this.#live();
    const steward = layout.voters.find((nodeId) => live.has(nodeId));
    if (steward !== self && this.#random.float() > 0.1) return;
    const caught = this.#caughtReports();
    if (layout.phase === 'moving' && moveProgress(layout, { live, caught }) !== 'waiting') this.#caughtSince ??= now;
    else this.#caughtSince = null;
    const wish = nextLayout(layout, {
      joins: [...this.#joins.values()], leaves: this.#leaves, outs: this.#outs(layout, live, now), live, seen: this.#seenNow(), caught,
      layoutAgeMs: now - this.#adoptedAt, caughtForMs: this.#caughtSince === null ? 0 : now - this.#caughtSince,
    }, OPTIONS);
    if (wish === null && this.#random.float() > 0.05) return;
    if (wish !== null && !this.#rules.abortsWithoutMajority && isAbortForMajority(layout, wish, live)) return;
    this.#hlc++;
    const proposed = wish === null ? null : this.#withSince(layout, wish);
    this.#follow(startProposal(layout, chainBallot(layout, this.#hlc, self), proposed), now);
  }

  /** The proposal as it is, or with `since` counted wrongly. */
  #withSince(layout: Layout, wish: Layout): Layout {
    if (this.#rules.since === 'stable') return sinceFromStable(layout, wish, this.#seenNow());
    return this.#rules.since === 'arc' ? sinceOfArc(wish, this.#seenNow()) : wish;
  }

  #follow(step: ProposerStep, startedAt: number): void {
    this.#proposal = { state: step.state, startedAt };
    for (const effect of step.effects) this.#carryOut(effect, startedAt);
  }

  #carryOut(effect: ProposerEffect, startedAt: number): void {
    switch (effect.kind) {
      case 'send': {
        const { layout, ballot } = effect.request;
        for (const nodeId of effect.to) {
          this.#ask(layout, nodeId, { kind: 'chain', request: effect.request }, (reply) => {
            if (reply.kind !== 'chain' || this.#proposal === null || compareBallots(this.#proposal.state.ballot, ballot) !== 0) return;
            const heard = reply.reply.kind === 'promised' && !this.#rules.adoptHighest ? { ...reply.reply, accepted: null } : reply.reply;
            this.#follow(proposerStep(this.#proposal.state, nodeId, heard), startedAt);
          });
        }
        return;
      }
      case 'decided':
      case 'superseded':
        return this.adopt(effect.layout);
      case 'refused':
        this.#hlc = Math.max(this.#hlc, effect.promised.hlc);
        this.#proposal = null;
        return;
      case 'idle':
        this.#proposal = null;
    }
  }

  // ----------------------------------------------------------------------------------------------------- catch-up

  #catchUp(layout: Layout): void {
    const { disk } = this;
    for (const sets of allReplicaSets(layout)) {
      if (!sets.isMoving || !sets.new.includes(disk.nodeId) || disk.caught.has(sets.end)) continue;
      if (!this.#rules.retainedCatchUp && sets.old.includes(disk.nodeId)) {
        disk.caught.add(sets.end);
        continue;
      }
      for (const nodeId of sets.old) {
        this.#ask(layout, nodeId, { kind: 'page', epoch: layout.epoch }, (reply) => {
          if (reply.kind !== 'page' || this.epoch !== layout.epoch || (this.#rules.epochFence && reply.epoch !== layout.epoch)) return;
          this.#merge(sets, nodeId, reply);
        });
      }
    }
  }

  #merge(sets: ReplicaSets, from: NodeId, reply: KernelReply & { kind: 'page' }): void {
    const { disk } = this;
    const pages = this.#pages.get(sets.end) ?? new Map<NodeId, KernelReply & { kind: 'page' }>();
    this.#pages.set(sets.end, pages.set(from, reply));
    if (disk.caught.has(sets.end) || !isMajority(sets.old, (nodeId) => pages.has(nodeId))) return;
    KERNEL_POSITIONS.forEach((position, at) => {
      if (!isInArc(position, sets.from, sets.end)) return;
      const highest = highestItem([...pages.values()].map((page) => page.items[at] ?? null));
      if (highest !== null && highest.version > (disk.items[at]?.version ?? 0)) disk.items[at] = highest;
      disk.floors[at] = Math.max(disk.floors[at] ?? 0, ...[...pages.values()].map((page) => page.floors[at] ?? 0));
    });
    disk.caught.add(sets.end);
  }

  // ------------------------------------------------------------------------------------------------------- gossip

  #hello(): void {
    const { disk } = this;
    const { nodeId, name, layout } = disk;
    const isMember = layout !== null && memberById(layout, nodeId) !== undefined;
    const hello: KernelRequest = {
      kind: 'hello', nodeId, epoch: this.epoch, caught: [...disk.caught], isLeaving: this.isLeaving,
      joiner: isMember || this.isLeaving ? null : { nodeId, name, advertise: name, zone: '', weight: 1 },
    };
    for (const other of this.#names) {
      if (other === name) this.#onHello(hello);
      else this.#net.call(other, null, hello, (reply) => { if (reply.kind === 'layout') this.adopt(reply.layout); });
    }
  }

  #onHello(hello: KernelRequest & { kind: 'hello' }): KernelReply | null {
    const { layout } = this.disk;
    this.#heardAt.set(hello.nodeId, this.#net.now());
    this.#seen.set(hello.nodeId, Math.max(this.#seen.get(hello.nodeId) ?? 0, hello.epoch));
    if (hello.epoch >= (this.#reported.get(hello.nodeId)?.epoch ?? 0)) this.#reported.set(hello.nodeId, { epoch: hello.epoch, ends: new Set(hello.caught) });
    if (hello.joiner !== null) this.#joins.set(hello.nodeId, hello.joiner);
    else this.#joins.delete(hello.nodeId);
    if (hello.isLeaving) this.#leaves.add(hello.nodeId);
    return layout !== null && layout.epoch > hello.epoch ? { kind: 'layout', layout } : null;
  }

  #live(): Set<NodeId> {
    const now = this.#net.now();
    return new Set([this.disk.nodeId, ...[...this.#heardAt].filter(([, at]) => now - at < SILENCE_MS).map(([nodeId]) => nodeId)]);
  }

  /** The members that have been silent for so long that they are taken out. */
  #outs(layout: Layout, live: ReadonlySet<NodeId>, now: number): ReadonlySet<NodeId> {
    const notUp = layout.members.map((member) => member.nodeId).filter((nodeId) => !live.has(nodeId));
    const down = notUp.map((nodeId) => {
      const silentMs = now - (this.#heardAt.get(nodeId) ?? this.#startedAt);
      return [nodeId, { downForMs: silentMs, watchedForMs: silentMs }] as const;
    });
    return membersDue(layout, { notUp: new Set(notUp), down: new Map(down) }, OUT);
  }

  #seenNow(): ReadonlyMap<NodeId, Epoch> {
    return new Map(this.#seen).set(this.disk.nodeId, this.epoch);
  }

  #caughtReports(): ReadonlyMap<NodeId, ReadonlySet<Position>> {
    const { layout } = this.disk;
    if (!this.#rules.waitsForCaught && layout !== null) {
      const ends = new Set(layout.arcs.map((arc) => arc.end));
      return new Map(layout.members.map((member) => [member.nodeId, ends]));
    }
    const reports = new Map<NodeId, ReadonlySet<Position>>([[this.disk.nodeId, this.disk.caught]]);
    for (const [nodeId, { epoch, ends }] of this.#reported) {
      if (nodeId !== this.disk.nodeId && (epoch === this.epoch || !this.#rules.caughtReset)) reports.set(nodeId, ends);
    }
    return reports;
  }

  /** A.4 (9). */
  #mayExit(layout: Layout): boolean {
    return this.isLeaving && memberById(layout, this.disk.nodeId) === undefined
      && (!this.#rules.leaverWaits || isMajority(layout.voters, (nodeId) => (this.#seen.get(nodeId) ?? 0) >= layout.epoch));
  }
}

function setsAt(layout: Layout, at: number): ReplicaSets {
  return replicaSets(layout, KERNEL_POSITIONS[at] as Position);
}

function highestItem(items: readonly (Item | null)[]): Item | null {
  return items.reduce((best, item) => (item !== null && item.version > (best?.version ?? 0) ? item : best), null);
}
