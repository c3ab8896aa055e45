/**
 * Leave: how this node gets out of the ring for good without taking anything along.
 *
 * ```
 *   asking --layout: leaving--> handing over --layout without it--> following --majority of voters--> left
 * ```
 * It repeats its wish until the layout has it as leaving; a move that is given up brings it back to asking. Out of the
 * layout it stays until a majority of its newest layout's voters has persisted that layout: otherwise it could be the last
 * that knows it. Then it tells its predecessor, as a hint, and may stop. The last member just stops, with its data.
 * Whoever is a member again before it has stopped begins anew.
 * Source: protocol sections A.4 (9) and E (7); the seed's `leave`.
 */
import type { NodeId } from '../domain/ids.ts';
import { elapsedMs, isAtOrAfter, plusMs, type MonotonicMs } from '../domain/instant.ts';
import type { Layout, LayoutMember } from '../domain/layout.ts';
import { parseAddress } from '../domain/node-address.ts';
import { isMajority } from '../layout/next-layout.ts';
import type { NodeRef } from '../protocol/message.ts';
import { nodeKey } from '../ring/hasher.ts';
import { memberById } from '../ring/placement.ts';
import { pointers, successorAt } from '../ring/pointers.ts';
import type { Exchange } from './exchange.ts';
import type { FailureWatch } from './failure-watch.ts';
import { namesakeOf } from './join.ts';
import type { LayoutKeeper } from './layout-keeper.ts';
import type { MemberTable } from './member-table.ts';
import type { MembershipTimes } from './membership-options.ts';

/**
 * Milliseconds that a leaver waits when it has become the only member: a joiner whose move was given up asks again within
 * a second of being reachable, and then takes everything over.
 */
const ALONE_MS = 5_000;

export interface LeaveDeps {
  readonly self: NodeRef;
  readonly exchange: Exchange;
  readonly keeper: LayoutKeeper;
  readonly table: MemberTable;
  readonly watch: FailureWatch;
  readonly times: MembershipTimes;
}

export class Leave {
  readonly #deps: LeaveDeps;
  #stage: 'none' | 'wanted' | 'left' = 'none';
  #nextAt: MonotonicMs | null = null;
  /** Since when a leaver that had company is the only member. */
  #aloneSince: MonotonicMs | null = null;
  /** Members asked for a newer layout since this node left. */
  #followed = 0;

  constructor(deps: LeaveDeps) {
    this.#deps = deps;
    if (deps.keeper.layout !== null) this.#resume(deps.keeper.layout);
  }

  get isWanted(): boolean {
    return this.#stage === 'wanted';
  }

  get hasLeft(): boolean {
    return this.#stage === 'left';
  }

  /** In words: how far it is. */
  get detail(): string {
    const { keeper, self } = this.#deps;
    const here = keeper.layout === null ? undefined : memberById(keeper.layout, self.nodeId);
    if (this.#stage === 'left') return 'left the ring';
    if (here === undefined) return 'out of the layout, waits until a majority of its voters has it';
    return here.state === 'leaving' ? 'hands over its arcs' : 'asked to leave, waits for the layout';
  }

  begin(now: MonotonicMs): void {
    if (this.#stage !== 'none') return;
    const { keeper } = this.#deps;
    const { layout } = keeper;
    // A joiner may be in the layout that is being adopted: then this node isn't the last.
    if (layout === null || (layout.members.length === 1 && keeper.isMember && !keeper.isChanging)) {
      this.#stage = 'left';
      this.#deps.exchange.emit({ kind: 'left' });
      return;
    }
    this.#stage = 'wanted';
    this.#nextAt = now;
  }

  layoutChanged(layout: Layout | null, now: MonotonicMs): void {
    this.#nextAt = now;
    this.#aloneSince = null;
    if (layout === null) return;
    this.#resume(layout);
    // A wish to join that was long under way brought it back: it holds arcs again, and has to hand them over again.
    if (this.#stage === 'left' && memberById(layout, this.#deps.self.nodeId) !== undefined) this.#stage = 'wanted';
  }

  tick(now: MonotonicMs): void {
    const { keeper, self, times } = this.#deps;
    const { layout } = keeper;
    if (this.#stage === 'none' || layout === null || keeper.isChanging) return;
    if (this.#stage === 'left') {
      this.#follow(layout, now);
      return;
    }
    const here = memberById(layout, self.nodeId);
    if (here === undefined && this.#hasMajority(layout)) {
      this.#finish(layout);
      return;
    }
    if (this.#nextAt !== null && !isAtOrAfter(now, this.#nextAt)) return;
    this.#nextAt = plusMs(now, times.retryMs);
    if (here === undefined) this.#showVoters(layout);
    else if (layout.members.length === 1) {
      this.#aloneSince ??= now;
      if (elapsedMs(this.#aloneSince, now) < ALONE_MS) return;
      this.#stage = 'left';
      this.#deps.exchange.emit({ kind: 'left' });
    } else if (here.state !== 'leaving') this.#ask(layout);
  }

  /** A leave that an earlier process life began goes on. Being replaced is no leave. */
  #resume(layout: Layout): void {
    const { self } = this.#deps;
    if (this.#stage === 'none' && memberById(layout, self.nodeId)?.state === 'leaving' && namesakeOf(layout, self) === null) this.#stage = 'wanted';
  }

  #ask(layout: Layout): void {
    const { exchange, self, times, watch } = this.#deps;
    const voter = layout.voters.find((nodeId) => !watch.unreachable.has(nodeId)) ?? layout.voters[0];
    const target = voter === undefined ? undefined : memberById(layout, voter);
    if (target === undefined) return;
    exchange.ask<'leave'>(target, { kind: 'leave', nodeId: self.nodeId }, times.askTimeoutMs, (answer) => {
      if (answer.kind === 'reply' && answer.reply.state === 'gone') this.#fetch(target);
    });
  }

  #fetch(target: LayoutMember): void {
    const { exchange, keeper, times } = this.#deps;
    exchange.ask<'layout-fetch'>(target, { kind: 'layout-fetch' }, times.askTimeoutMs, (answer) => {
      if (answer.kind === 'reply' && answer.reply.layout !== null) keeper.offer(answer.reply.layout, answer.from);
    });
  }

  /** Nobody tells a node that left of newer layouts, but it asks their owners for receipts until it ends. */
  #follow(layout: Layout, now: MonotonicMs): void {
    if (this.#nextAt !== null && !isAtOrAfter(now, this.#nextAt)) return;
    this.#nextAt = plusMs(now, this.#deps.times.retryMs);
    const target = layout.members[this.#followed++ % layout.members.length];
    if (target !== undefined && target.nodeId !== this.#deps.self.nodeId) this.#fetch(target);
  }

  #hasMajority(layout: Layout): boolean {
    return isMajority(layout.voters, (voter) => this.#hasReported(layout, voter));
  }

  #hasReported(layout: Layout, voter: NodeId): boolean {
    return (this.#deps.table.seen.get(voter) ?? 0) >= layout.epoch;
  }

  #showVoters(layout: Layout): void {
    const { exchange, keeper, times } = this.#deps;
    for (const voter of layout.voters) {
      const target = memberById(layout, voter);
      if (target === undefined || this.#hasReported(layout, voter)) continue;
      exchange.ask<'layout-announce'>(target, { kind: 'layout-announce', layout }, times.askTimeoutMs, (answer) => {
        if (answer.kind === 'reply' && answer.reply.layout !== null) keeper.offer(answer.reply.layout, answer.from);
      });
    }
  }

  #finish(layout: Layout): void {
    const { exchange, self, times, watch } = this.#deps;
    this.#stage = 'left';
    const address = parseAddress(self.name);
    const successor = address === null ? null : successorAt(layout, nodeKey(address, layout.keyBits), watch.unreachable);
    const predecessor = successor === null ? null : pointers(layout, successor.nodeId, watch.unreachable)?.predecessor ?? null;
    if (successor !== null && predecessor !== null) {
      exchange.ask<'notify'>(predecessor, { kind: 'notify', leaver: self, successor: refOf(successor) }, times.askTimeoutMs, () => undefined);
    }
    watch.farewell('left');
    exchange.emit({ kind: 'left' });
  }
}

function refOf({ nodeId, name, advertise }: LayoutMember): NodeRef {
  return { nodeId, name, advertise };
}
