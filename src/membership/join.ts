/**
 * Join: how this node becomes a member, and becomes one again when it was dropped while away.
 *
 * ```
 *   searching --a seed knows a ring--> FIND_SUCCESSOR --> asking (JOIN to that successor, pinged from now on)
 *      ^   \                                                |          |
 *      |    +--no ring, all initial nodes promised--> found |          | the layout names this node: member
 *      +--------------- it is silent or of no use ----------+          v
 * ```
 * JOIN is repeated until the layout has this node, because what a steward remembers of joiners is volatile; seeds and known
 * members take turns. A node whose name another nodeId has taken over doesn't come back.
 * Source: [Chord] "Node Joins"; protocol sections A.5 and A.7.
 */
import type { ErrorCode } from '../domain/error-catalogue.ts';
import type { NodeId } from '../domain/ids.ts';
import { isAtOrAfter, plusMs, type MonotonicMs } from '../domain/instant.ts';
import type { Layout } from '../domain/layout.ts';
import { parseAddress } from '../domain/node-address.ts';
import type { PeerTarget } from '../domain/peer-identity.ts';
import type { NodeRef, WhoAreYouReply } from '../protocol/message.ts';
import { nodeKey } from '../ring/hasher.ts';
import { memberById } from '../ring/placement.ts';
import type { Bootstrap } from './bootstrap.ts';
import type { Exchange } from './exchange.ts';
import type { FailureWatch } from './failure-watch.ts';
import type { LayoutKeeper } from './layout-keeper.ts';
import type { MembershipEvent } from './membership-event.ts';
import type { MembershipNotes } from './membership-notes.ts';
import type { MembershipOptions } from './membership-options.ts';

export type JoinCommand = Extract<MembershipEvent, { kind: 'join' }>;

/** Members of its last layout that a dropped node asks besides the seeds. */
const KNOWN_MEMBERS_MAX = 8;

export interface JoinDeps {
  readonly options: MembershipOptions;
  readonly exchange: Exchange;
  readonly keeper: LayoutKeeper;
  readonly bootstrap: Bootstrap;
  readonly watch: FailureWatch;
  readonly notes: MembershipNotes;
}

interface Order {
  readonly seeds: readonly string[];
  readonly whenMember: JoinCommand['whenMember'];
  /** Until when a seed has to know a ring; null: for ever. */
  readonly deadline: MonotonicMs | null;
}

/** The member that JOIN goes to. */
interface Contact {
  readonly target: PeerTarget;
  /** Whose hand may give this node its first layout. */
  readonly giver: PeerTarget;
  readonly until: MonotonicMs;
}

export class Join {
  readonly #deps: JoinDeps;
  #order: Order | null = null;
  #contact: Contact | null = null;
  /** Questions of the present round that are not settled. */
  #asked = 0;
  #nextAt: MonotonicMs | null = null;
  /** Someone knew a ring in this process life: then this node never founds one. */
  #isRingKnown = false;
  #failure: string | null = null;
  /**
   * Not a full member yet: a node of its name in the layout is then the one that this one is to replace, back because
   * the move was given up. After a restart the address tells: nobody else can be where this node is.
   */
  #isCandidate: boolean;

  constructor(deps: JoinDeps) {
    this.#deps = deps;
    const { keeper: { layout }, options: { self } } = deps;
    const here = layout === null ? undefined : memberById(layout, self.nodeId);
    this.#isCandidate = layout === null || (here === undefined ? namesakeOf(layout, self)?.advertise === self.advertise : here.state === 'joining');
  }

  get isUnderWay(): boolean {
    return this.#order !== null;
  }

  /** In words: for whom it waits, or why it gave up. */
  get detail(): string {
    const { bootstrap } = this.#deps;
    if (this.#order === null) return this.#failure ?? '';
    if (this.#contact !== null) return `asked ${this.#contact.target.advertise} to join, waits for the layout`;
    if (bootstrap.refusal !== null) return `no ring found, and founding one is not permitted: ${bootstrap.refusal}`;
    if (bootstrap.waitsFor.length > 0) return `no ring found, founding waits for ${bootstrap.waitsFor.join(', ')}`;
    return `looks for a ring through ${this.#order.seeds.join(', ') || 'known members'}`;
  }

  begin(command: JoinCommand, now: MonotonicMs): void {
    const { keeper } = this.#deps;
    if (keeper.isMember && command.whenMember === 'stay') {
      this.#deps.exchange.emit({ kind: 'joined' });
      return;
    }
    this.#deps.bootstrap.begin(keeper.layout === null ? command.initialNames : []);
    const seeds = [...new Set([...command.seeds, ...command.initialNames])];
    const whenMember = keeper.isMember ? command.whenMember : 'stay';
    this.#start({ seeds, whenMember, deadline: command.timeoutMs === null ? null : plusMs(now, command.timeoutMs) }, now);
  }

  /** Founds a ring of this node alone. */
  found(now: MonotonicMs): void {
    const { bootstrap, exchange, keeper } = this.#deps;
    if (keeper.isMember) exchange.emit({ kind: 'joined' });
    else if (keeper.layout !== null) this.#fail('DHT_ERR_CONFLICT', 'this node knows a ring; it can only join that again');
    else if (!bootstrap.isPermitted) this.#fail('DHT_ERR_CONFLICT', 'this node may found a ring only together with its installation');
    else if (bootstrap.promised !== null) this.#fail('DHT_ERR_CONFLICT', 'this node promised to follow another founder');
    else {
      this.#start({ seeds: [], whenMember: 'stay', deadline: null }, now);
      this.#takeFounding(bootstrap.foundingOf([]), now);
    }
  }

  stop(): void {
    this.#order = null;
    this.#contact = null;
  }

  /** Whether a layout may be this node's first one. */
  mayTakeFirst(layout: Layout, from: NodeId | null): boolean {
    const { bootstrap, options } = this.#deps;
    if (this.#order === null || memberById(layout, options.self.nodeId) === undefined) return false;
    return from === options.self.nodeId || bootstrap.mayFollow(layout.clusterId, from);
  }

  layoutChanged(layout: Layout | null, now: MonotonicMs): void {
    const { exchange, notes, options } = this.#deps;
    this.#nextAt = now;
    this.#contact = null;
    if (layout === null) {
      if (this.#order !== null) this.#order = { ...this.#order, whenMember: 'stay' };
      return;
    }
    const here = memberById(layout, options.self.nodeId);
    if (here !== undefined) this.#isCandidate = here.state === 'joining';
    if (here === undefined) this.#dropped(layout, now);
    else if (here.state === 'member' && this.#order !== null) {
      this.#order = null;
      notes.joinAttempted('ok');
      exchange.emit({ kind: 'joined' });
    }
  }

  tick(now: MonotonicMs): void {
    const { keeper, options } = this.#deps;
    const order = this.#order;
    if (order === null || keeper.isChanging || (this.#nextAt !== null && !isAtOrAfter(now, this.#nextAt))) return;
    if (keeper.isMember && order.whenMember === 'stay') return;
    if (this.#contact === null && order.deadline !== null && isAtOrAfter(now, order.deadline)) {
      this.#fail('DHT_ERR_NO_SEED_ANSWERED', `none of ${order.seeds.join(', ')} knows a ring`);
      return;
    }
    this.#nextAt = plusMs(now, options.times.retryMs);
    if (this.#contact !== null && isAtOrAfter(now, this.#contact.until)) this.#contact = null;
    if (this.#contact !== null) this.#askToJoin(this.#contact);
    else if (this.#asked === 0) this.#search(order, [...new Set([...order.seeds, ...this.#knownMembers()])], now);
  }

  // ----------------------------------------------------------------------------------------------------- searching

  #search(order: Order, addresses: readonly string[], now: MonotonicMs): void {
    const { bootstrap, exchange, notes, options } = this.#deps;
    const others = addresses.filter((address) => !bootstrap.isSelf(address));
    this.#asked = others.length;
    bootstrap.beginRound();
    for (const advertise of others) {
      exchange.ask<'who-are-you'>({ advertise, nodeId: null }, { kind: 'who-are-you', from: options.self }, options.times.askTimeoutMs, (answer, at) => {
        this.#asked -= 1;
        if (this.#order !== order) return;
        if (answer.kind === 'reply') this.#heard(advertise, answer.reply);
        else {
          notes.joinAttempted(answer.failure === 'wrong-node' ? 'rejected' : 'unreachable');
          if (answer.failure === 'wrong-node') this.#heardForeign(advertise);
        }
        if (this.#asked === 0) this.#roundEnded(at);
      });
    }
    if (others.length === 0) this.#roundEnded(now);
  }

  #roundEnded(now: MonotonicMs): void {
    const { bootstrap, keeper } = this.#deps;
    if (this.#isRingKnown || keeper.layout !== null || keeper.isChanging) return;
    const founding = bootstrap.founding();
    if (founding === null) return;
    if (bootstrap.isPermitted) this.#takeFounding(founding, now);
    else this.#deps.exchange.emit({ kind: 'ask-to-found' });
  }

  #takeFounding(founding: Layout, now: MonotonicMs): void {
    const { exchange, keeper, options } = this.#deps;
    keeper.offer(founding, options.self.nodeId);
    keeper.whenSettled(() => {
      for (const { nodeId, advertise } of founding.members) {
        if (nodeId === options.self.nodeId) continue;
        exchange.ask<'layout-announce'>({ nodeId, advertise }, { kind: 'layout-announce', layout: founding }, options.times.askTimeoutMs, () => undefined);
      }
    }, now);
  }

  #heard(address: string, reply: WhoAreYouReply): void {
    const { bootstrap, keeper } = this.#deps;
    if (reply.state === 'empty' || reply.clusterId === null) {
      this.#deps.notes.joinAttempted('no_ring');
      if (keeper.layout === null) bootstrap.heardEmpty(address, reply);
      return;
    }
    this.#isRingKnown = true;
    if (this.#contact !== null || keeper.isChanging) return;
    if (keeper.layout !== null && this.#isSettledByRing(keeper.layout, reply)) return;
    const seed: PeerTarget = { advertise: address, nodeId: reply.from.nodeId };
    const giver = bootstrap.mayFollow(reply.clusterId, null) ? null : bootstrap.founder;
    this.#findSuccessor(seed, giver);
  }

  /** For a node that has a layout: whether the seed's ring already answers the order. */
  #isSettledByRing(layout: Layout, reply: WhoAreYouReply): boolean {
    const { exchange, keeper, notes } = this.#deps;
    if (reply.clusterId === layout.clusterId) {
      if (!keeper.isMember) return false;
      this.#order = null;
      notes.joinAttempted('ok');
      exchange.emit({ kind: 'joined' });
      return true;
    }
    this.#heardForeign(reply.from.name);
    return true;
  }

  /** At that address lives a node of another ring: for it this node gives up its own, if that may be. */
  #heardForeign(address: string): void {
    const { keeper } = this.#deps;
    const { layout } = keeper;
    this.#isRingKnown = true;
    if (layout === null || keeper.isChanging || this.#order === null || this.#order.whenMember === 'stay') return;
    const isAlone = keeper.isMember && layout.members.length === 1 && layout.phase === 'stable' && keeper.slot.accepted === null;
    if (this.#order.whenMember === 'compare' || !isAlone) this.#fail('DHT_ERR_CONFLICT', `this node is in a ring already, ${address} in another`);
    else keeper.abandon(layout, () => { this.#fail('DHT_ERR_CONFLICT', `this node's own ring holds objects, ${address} is in another ring`); });
  }

  #findSuccessor(seed: PeerTarget, giver: PeerTarget | null): void {
    const { bootstrap, exchange, options } = this.#deps;
    const address = parseAddress(options.self.name);
    if (address === null) return;
    const position = nodeKey(address, options.ring.keyBits);
    exchange.ask<'find-successor'>(seed, { kind: 'find-successor', position, hops: 0 }, options.times.askTimeoutMs, (answer, now) => {
      if (answer.kind === 'none') this.#deps.notes.joinAttempted('unreachable');
      if (answer.kind === 'none' || this.#order === null || this.#contact !== null) return;
      const { node } = answer.reply;
      const target = bootstrap.isSelf(node.advertise) || bootstrap.isSelf(node.name) ? seed : node;
      this.#contact = { target, giver: giver ?? target, until: plusMs(now, options.times.contactMs) };
      this.#nextAt = plusMs(now, options.times.retryMs);
      this.#askToJoin(this.#contact);
    });
  }

  // -------------------------------------------------------------------------------------------------------- asking

  #askToJoin(contact: Contact): void {
    const { exchange, notes, options, watch } = this.#deps;
    const { self, zone, weight, ring, times } = options;
    watch.ping(contact.target, () => undefined);
    exchange.ask<'join'>(contact.target, { kind: 'join', node: self, zone, weight, keyBits: ring.keyBits }, times.askTimeoutMs, (answer) => {
      if (this.#contact !== contact || this.#order === null) return;
      if (answer.kind === 'none') {
        notes.joinAttempted('unreachable');
        this.#contact = null;
        return;
      }
      switch (answer.reply.state) {
        case 'accepted':
          return;
        case 'member':
          this.#fetch(contact.giver);
          return;
        case 'refused':
          notes.joinAttempted('rejected');
          this.#fail('DHT_ERR_CONFLICT', answer.reply.detail);
          return;
      }
    });
  }

  #fetch(giver: PeerTarget): void {
    const { exchange, keeper, options } = this.#deps;
    exchange.ask<'layout-fetch'>(giver, { kind: 'layout-fetch' }, options.times.askTimeoutMs, (answer) => {
      if (answer.kind === 'reply' && answer.reply.layout !== null) keeper.offer(answer.reply.layout, answer.from);
    });
  }

  // -------------------------------------------------------------------------------------------------------- others

  #start(order: Order, now: MonotonicMs): void {
    const { keeper } = this.#deps;
    this.#failure = null;
    this.#contact = null;
    this.#order = order;
    this.#nextAt = now;
    if (keeper.layout !== null && !keeper.isMember && this.#isReplaced(keeper.layout)) this.#replaced();
  }

  /** The newest layout doesn't have this node: it asks to be a member again, unless it was replaced. */
  #dropped(layout: Layout, now: MonotonicMs): void {
    if (this.#isReplaced(layout)) this.#replaced();
    else if (this.#order === null) {
      this.#deps.exchange.emit({ kind: 'log', level: 'warn', message: 'no member of the newest layout, asks to join again', fields: { epoch: layout.epoch } });
      this.#start({ seeds: [], whenMember: 'stay', deadline: null }, now);
    }
  }

  #isReplaced(layout: Layout): boolean {
    return !this.#isCandidate && namesakeOf(layout, this.#deps.options.self) !== null;
  }

  #replaced(): void {
    this.#fail('DHT_ERR_CONFLICT', 'another node took over this name; this one is out of the ring for good');
  }

  #knownMembers(): readonly string[] {
    const { keeper } = this.#deps;
    if (keeper.layout === null || keeper.isMember) return [];
    return keeper.layout.members.slice(0, KNOWN_MEMBERS_MAX).map((member) => member.advertise);
  }

  #fail(code: ErrorCode, detail: string): void {
    this.stop();
    this.#failure = detail;
    this.#deps.exchange.emit({ kind: 'join-failed', code, detail });
  }
}

/** The member that has this node's name under another nodeId. */
export function namesakeOf(layout: Layout, self: NodeRef): NodeRef | null {
  return layout.members.find((member) => member.name === self.name && member.nodeId !== self.nodeId) ?? null;
}
