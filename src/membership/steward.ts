/**
 * Steward: what this node knows of wanted changes, and when it proposes one.
 *
 * The lowest live voter acts at once; what arrives while a move is under way waits and goes into the next one together.
 * A member that has been down for outAfter is taken out without its asking (layout/automatic-out.ts).
 * Any other voter steps in after a random while, so a steward that is stuck holds nothing up. Everything here is
 * volatile: joiners and leavers repeat their wish, and members repeat what they have caught up.
 * Source: protocol section A.4 (2), (4) to (6).
 */
import type { Epoch, NodeId } from '../domain/ids.ts';
import { elapsedMs, isAtOrAfter, plusMs, type MonotonicMs } from '../domain/instant.ts';
import type { Layout } from '../domain/layout.ts';
import { MEMBERS_MAX } from '../domain/limits.ts';
import type { Position } from '../domain/ring-position.ts';
import type { Joiner } from '../layout/founding-layout.ts';
import { membersDue, outVerdicts, type OutSituation, type OutVerdict } from '../layout/automatic-out.ts';
import { moveProgress, nextLayout, type Situation } from '../layout/next-layout.ts';
import type { Random } from '../ports/random.ts';
import type { CaughtRequest, JoinReply, JoinRequest, LeaveReply, LeaveRequest, NodeRef } from '../protocol/message.ts';
import { memberById } from '../ring/placement.ts';
import type { ChainDriver } from './chain-driver.ts';
import type { Exchange } from './exchange.ts';
import type { LayoutKeeper } from './layout-keeper.ts';
import type { MemberTable } from './member-table.ts';
import type { MembershipTimes } from './membership-options.ts';

/** Nodes that wait to join, remembered at most; the others ask again. */
const PENDING_MAX = 100;
/** Arc ends in one report: a frame's head holds more than 8,000. */
const REPORTED_ENDS_MAX = 4_000;
/** Milliseconds until a change that is impossible now is looked at again: planning costs time. */
const LOOK_AGAIN_MS = 250;

const NOBODY: ReadonlySet<NodeId> = new Set();

export interface StewardDeps {
  readonly self: NodeRef;
  readonly exchange: Exchange;
  readonly keeper: LayoutKeeper;
  readonly table: MemberTable;
  readonly chain: ChainDriver;
  readonly random: Random;
  readonly times: MembershipTimes;
  readonly isUp: (nodeId: NodeId) => boolean;
  readonly unreachable: () => ReadonlySet<NodeId>;
}

interface Pending {
  readonly joiner: Joiner;
  lastHeard: MonotonicMs;
}

export class Steward {
  readonly #deps: StewardDeps;
  readonly #joins = new Map<NodeId, Pending>();
  /** When each leaver was last heard. */
  readonly #leaves = new Map<NodeId, MonotonicMs>();
  readonly #caught = new Map<NodeId, Set<Position>>();
  #caughtSince: MonotonicMs | null = null;
  /** When this node proposes, if the work is still there and another is steward. */
  #stepInAt: MonotonicMs | null = null;
  #lookAt: MonotonicMs | null = null;
  #reportAt: MonotonicMs | null = null;

  constructor(deps: StewardDeps, caught: ReadonlySet<Position>) {
    this.#deps = deps;
    if (caught.size > 0) this.#caught.set(deps.self.nodeId, new Set(caught));
  }

  /** Names of the nodes that wait to join and to leave. */
  get pending(): { readonly joins: readonly string[]; readonly leaves: readonly string[] } {
    return {
      joins: [...this.#joins.values()].map(({ joiner }) => joiner.name),
      leaves: [...this.#leaves.keys()].map((nodeId) => this.#deps.table.ref(nodeId)?.name ?? nodeId),
    };
  }

  /** What is to become of each member that is down, as seen here. */
  get outVerdicts(): ReadonlyMap<NodeId, OutVerdict> {
    const { layout } = this.#deps.keeper;
    return layout === null ? new Map() : outVerdicts(layout, this.#outSituation(layout), this.#deps.times);
  }

  // ------------------------------------------------------------------------------------------------------- wishes

  serveJoin(from: NodeId, request: JoinRequest, now: MonotonicMs): JoinReply {
    const { keeper } = this.#deps;
    const { layout } = keeper;
    if (layout === null) return joinReply('refused', 'this node has no ring');
    if (memberById(layout, request.node.nodeId) !== undefined) return joinReply('member', '');
    if (request.keyBits !== layout.keyBits) return joinReply('refused', `the ring has M = ${layout.keyBits}, the joiner ${request.keyBits}`);
    if (layout.members.length >= MEMBERS_MAX) return joinReply('refused', `the ring has ${MEMBERS_MAX} members, the most that one layout takes`);
    const { nodeId, name, advertise } = request.node;
    const known = this.#joins.get(nodeId);
    if (known === undefined) {
      if (this.#joins.size >= PENDING_MAX) return joinReply('accepted', '');
      this.#joins.set(nodeId, { joiner: { nodeId, name, advertise, zone: request.zone, weight: request.weight }, lastHeard: now });
      this.#lookAt = now;
    } else known.lastHeard = now;
    if (from === nodeId) this.#passOn(layout, request);
    return joinReply('accepted', '');
  }

  /**
   * A wish that was said under an older layout isn't taken: a network that repeats it late may bring it after its sender
   * has left and joined again. Who still wants to leave says so again under the present layout.
   */
  serveLeave(from: { readonly nodeId: NodeId; readonly epoch: Epoch }, request: LeaveRequest, now: MonotonicMs): LeaveReply {
    const { layout } = this.#deps.keeper;
    if (layout === null) return { kind: 'leave-reply', state: 'refused' };
    if (memberById(layout, request.nodeId) === undefined) return { kind: 'leave-reply', state: 'gone' };
    if (layout.members.length === 1 || from.epoch < layout.epoch) return { kind: 'leave-reply', state: 'refused' };
    if (!this.#leaves.has(request.nodeId)) this.#lookAt = now;
    this.#leaves.set(request.nodeId, now);
    if (from.nodeId === request.nodeId) this.#passOn(layout, request);
    return { kind: 'leave-reply', state: 'accepted' };
  }

  /** Members that are down and not wanted back leave without their own asking; the caller says so again while it is true. */
  orphaned(names: readonly string[], now: MonotonicMs): void {
    const { exchange, keeper: { layout }, self, table, times } = this.#deps;
    if (layout === null) return;
    for (const { nodeId, name } of layout.members) {
      if (!names.includes(name) || !table.down.has(nodeId)) continue;
      const request: LeaveRequest = { kind: 'leave', nodeId };
      exchange.emit({ kind: 'log', level: 'warn', message: 'a member that nobody wants back is removed', fields: { member: name } });
      this.serveLeave({ nodeId: self.nodeId, epoch: layout.epoch }, request, now);
      for (const voter of this.#otherVoters(layout)) exchange.ask<'leave'>(voter, request, times.askTimeoutMs, () => undefined);
    }
  }

  /** To the other voters, one of which is the steward; what comes from another member isn't passed on again. */
  #passOn(layout: Layout, request: JoinRequest | LeaveRequest): void {
    for (const voter of this.#otherVoters(layout)) {
      if (request.kind === 'join') this.#deps.exchange.ask<'join'>(voter, request, this.#deps.times.askTimeoutMs, () => undefined);
      else this.#deps.exchange.ask<'leave'>(voter, request, this.#deps.times.askTimeoutMs, () => undefined);
    }
  }

  // ------------------------------------------------------------------------------------------------------- caught

  serveCaught(request: CaughtRequest, now: MonotonicMs): void {
    this.#noteCaught(request.nodeId, request.epoch, request.arcEnds, now);
  }

  /** This node itself has caught up these arcs. */
  caughtHere(epoch: Epoch, arcEnds: readonly Position[], now: MonotonicMs): void {
    this.#noteCaught(this.#deps.self.nodeId, epoch, arcEnds, now);
    this.#report(now);
  }

  #noteCaught(nodeId: NodeId, epoch: Epoch, arcEnds: readonly Position[], now: MonotonicMs): void {
    const { layout } = this.#deps.keeper;
    if (layout === null || layout.epoch !== epoch || this.#deps.keeper.isChanging || memberById(layout, nodeId) === undefined) return;
    const ends = this.#caught.get(nodeId) ?? new Set<Position>();
    this.#caught.set(nodeId, ends);
    for (const end of arcEnds) ends.add(end);
    this.#lookAt = now;
  }

  #report(now: MonotonicMs): void {
    const { exchange, keeper, self, times } = this.#deps;
    this.#reportAt = plusMs(now, times.reportMs);
    const ends = [...this.#caught.get(self.nodeId) ?? []];
    if (keeper.layout === null || keeper.layout.phase === 'stable' || ends.length === 0) return;
    for (const voter of this.#otherVoters(keeper.layout)) {
      for (let i = 0; i < ends.length; i += REPORTED_ENDS_MAX) {
        const request: CaughtRequest = { kind: 'caught', nodeId: self.nodeId, epoch: keeper.layout.epoch, arcEnds: ends.slice(i, i + REPORTED_ENDS_MAX) };
        exchange.ask<'caught'>(voter, request, times.askTimeoutMs, () => undefined);
      }
    }
  }

  // ----------------------------------------------------------------------------------------------------- proposing

  layoutChanged(layout: Layout | null): void {
    this.#caught.clear();
    this.#caughtSince = null;
    this.#stepInAt = null;
    this.#lookAt = null;
    if (layout === null) {
      this.#joins.clear();
      this.#leaves.clear();
      return;
    }
    for (const nodeId of this.#joins.keys()) if (memberById(layout, nodeId) !== undefined) this.#joins.delete(nodeId);
    for (const nodeId of this.#leaves.keys()) {
      const member = memberById(layout, nodeId);
      if (member === undefined || member.state === 'leaving' || member.state === 'lost') this.#leaves.delete(nodeId);
    }
  }

  /** Something that a proposal depends on has changed. */
  noticed(now: MonotonicMs): void {
    this.#lookAt = now;
  }

  tick(now: MonotonicMs): void {
    this.#forgetSilent(now);
    if (this.#reportAt === null || isAtOrAfter(now, this.#reportAt)) this.#report(now);
    this.look(now);
  }

  /** Proposes what is to be done, if it is this node's turn. */
  look(now: MonotonicMs): void {
    const { chain, keeper, self } = this.#deps;
    const { layout } = keeper;
    if (layout === null || !layout.voters.includes(self.nodeId)) return;
    const isHalfDone = keeper.slot.accepted !== null;
    const outs = this.#outs(layout);
    if (!isHalfDone && layout.phase === 'stable' && this.#joins.size + this.#leaves.size + outs.size === 0) {
      this.#stepInAt = null;
      return;
    }
    if (layout.phase === 'moving') this.#noteProgress(layout, now);
    if (!chain.isFree(now) || !this.#isMyTurn(layout, now) || (this.#lookAt !== null && !isAtOrAfter(now, this.#lookAt))) return;
    const wish = nextLayout(layout, this.#situation(layout, outs, now), this.#deps.times);
    if (wish !== null || isHalfDone) chain.propose(wish, now);
    else this.#lookAt = plusMs(now, LOOK_AGAIN_MS);
  }

  #isMyTurn(layout: Layout, now: MonotonicMs): boolean {
    const { random, self, times, unreachable } = this.#deps;
    if (layout.voters.find((voter) => !unreachable().has(voter)) === self.nodeId) return true;
    this.#stepInAt ??= plusMs(now, times.stepInMs * (1 + random.float()));
    return isAtOrAfter(now, this.#stepInAt);
  }

  #noteProgress(layout: Layout, now: MonotonicMs): void {
    if (moveProgress(layout, { live: this.#live(layout), caught: this.#caught }) === 'waiting') this.#caughtSince = null;
    else this.#caughtSince ??= now;
  }

  #situation(layout: Layout, outs: ReadonlySet<NodeId>, now: MonotonicMs): Situation {
    const { keeper, self, table } = this.#deps;
    return {
      joins: [...this.#joins.values()].map((pending) => pending.joiner),
      leaves: new Set(this.#leaves.keys()),
      outs,
      live: this.#live(layout),
      seen: new Map([...table.seen, [self.nodeId, layout.epoch]]),
      caught: this.#caught,
      layoutAgeMs: elapsedMs(keeper.since, now),
      caughtForMs: this.#caughtSince === null ? 0 : elapsedMs(this.#caughtSince, now),
    };
  }

  /** Members to be taken out because they have been down for so long. */
  #outs(layout: Layout): ReadonlySet<NodeId> {
    if (layout.phase !== 'stable' || this.#deps.table.down.size === 0) return NOBODY;
    return membersDue(layout, this.#outSituation(layout), this.#deps.times);
  }

  #outSituation(layout: Layout): OutSituation {
    const { table, isUp } = this.#deps;
    return { notUp: new Set(layout.members.map((member) => member.nodeId).filter((nodeId) => !isUp(nodeId))), down: table.down };
  }

  #live(layout: Layout): ReadonlySet<NodeId> {
    const members = layout.members.map((member) => member.nodeId).filter((nodeId) => this.#deps.isUp(nodeId));
    return new Set([...members, ...this.#joins.keys()]);
  }

  #forgetSilent(now: MonotonicMs): void {
    const { wishSilentMs } = this.#deps.times;
    for (const [nodeId, { lastHeard }] of this.#joins) if (elapsedMs(lastHeard, now) > wishSilentMs) this.#joins.delete(nodeId);
    for (const [nodeId, lastHeard] of this.#leaves) if (elapsedMs(lastHeard, now) > wishSilentMs) this.#leaves.delete(nodeId);
  }

  #otherVoters(layout: Layout): readonly NodeRef[] {
    return layout.voters
      .map((voter) => memberById(layout, voter))
      .filter((member) => member !== undefined)
      .filter((member) => member.nodeId !== this.#deps.self.nodeId);
  }
}

function joinReply(state: JoinReply['state'], detail: string): JoinReply {
  return { kind: 'join-reply', state, detail };
}
