/**
 * Fork watch: what a node makes of a layout that came out of a recovery it took no part in.
 *
 * - Its own ring can't live without those who were recovered: the layout is the ring's future, and this node, which was
 *   given up for lost, joins again (its copies are a cache then).
 * - Members of its own ring that weren't recovered answer for some arc among themselves: the operator's word was wrong, or a
 *   cut ring was recovered on one side. Writes were acknowledged on both sides, so this node stays, and says so.
 * - The layouts forked: both sides were recovered. Neither ever takes the other's.
 *
 * In a ring that was recovered every member also asks now and then at the addresses of those given up: so two rings that
 * nobody else would bring together find out about each other, and one that returned learns what happened.
 * Source: protocol section A.4 (12); layout/descent.ts.
 */
import type { NodeId } from '../domain/ids.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { Layout, LayoutMember } from '../domain/layout.ts';
import { descentOf } from '../layout/descent.ts';
import { servesWithout } from '../layout/recovery.ts';
import type { NodeRef } from '../protocol/message.ts';
import { memberById } from '../ring/placement.ts';
import type { Exchange } from './exchange.ts';
import type { LayoutKeeper } from './layout-keeper.ts';
import type { MembershipTimes } from './membership-options.ts';

/** Unanswered questions in a row after which a member of this node's ring counts as gone. */
const SILENT_MAX = 3;
/** Looks for which a fork that isn't seen any more stays known. */
const LOOKS_REMEMBERED = 4;

export interface ForkWatchDeps {
  readonly self: NodeRef;
  readonly exchange: Exchange;
  readonly keeper: LayoutKeeper;
  readonly times: MembershipTimes;
}

interface Check {
  /** It answered, and is in this node's ring. */
  readonly isThere: boolean;
  /** Questions in a row without such an answer. */
  readonly silent: number;
}

export interface Fork {
  readonly epoch: number;
  /** Names of the other ring's members. */
  readonly members: readonly string[];
}

export class ForkWatch {
  readonly #deps: ForkWatchDeps;
  #fork: Fork | null = null;
  #seenAt: MonotonicMs | null = null;
  #lookedAt: MonotonicMs | null = null;
  #now: MonotonicMs | null = null;
  #turn = 0;
  /** Of the members of this node's ring that are not in the recovered one. */
  readonly #checks = new Map<NodeId, Check>();
  #checkedAt: MonotonicMs | null = null;

  constructor(deps: ForkWatchDeps) {
    this.#deps = deps;
  }

  /** Another ring that came out of this one; null: none is known. */
  get fork(): Fork | null {
    return this.#fork;
  }

  /** Whether this node takes over a layout that came out of a recovery; `present` is what it has. */
  mayTake(shown: Layout, present: Layout): boolean {
    const { self } = this.#deps;
    const here = memberById(shown, self.nodeId);
    if (here !== undefined) return here.state !== 'lost';
    if (memberById(present, self.nodeId) === undefined) return true;
    const elsewhere = new Set(shown.members.filter((member) => member.state !== 'lost').map((member) => member.nodeId));
    const others = present.members.filter(({ nodeId }) => nodeId !== self.nodeId && !elsewhere.has(nodeId));
    this.#askOthers(others, present);
    const withSelf = (condition: (check: Check | undefined) => boolean): ReadonlySet<NodeId> =>
      new Set([self.nodeId, ...others.map(({ nodeId }) => nodeId).filter((nodeId) => condition(this.#checks.get(nodeId)))]);
    if (!servesWithout(present, withSelf((check) => (check?.silent ?? 0) < SILENT_MAX), elsewhere)) return true;
    if (servesWithout(present, withSelf((check) => check?.isThere === true), elsewhere)) this.noteFork(shown);
    return false;
  }

  /** What the failure detector knows isn't enough here: it asks only neighbours, and takes those it never heard of for up. */
  #askOthers(others: readonly LayoutMember[], present: Layout): void {
    const { exchange, times } = this.#deps;
    if (this.#checkedAt !== null && this.#now !== null && elapsedMs(this.#checkedAt, this.#now) < times.askTimeoutMs) return;
    this.#checkedAt = this.#now;
    for (const member of others) {
      exchange.ask<'layout-fetch'>(member, { kind: 'layout-fetch' }, times.askTimeoutMs, (answer) => {
        const silent = this.#checks.get(member.nodeId)?.silent ?? 0;
        const layout = answer.kind === 'reply' ? answer.reply.layout : null;
        const isThere = layout !== null && ['older', 'follows'].includes(descentOf(layout, present));
        this.#checks.set(member.nodeId, { isThere, silent: isThere ? 0 : silent + 1 });
      });
    }
  }

  noteFork(shown: Layout): void {
    const isNew = this.#fork?.epoch !== shown.epoch;
    this.#seenAt = this.#now;
    this.#fork = { epoch: shown.epoch, members: shown.members.filter((member) => member.state !== 'lost').map((member) => member.name) };
    if (!isNew) return;
    this.#deps.exchange.emit({
      kind: 'log', level: 'warn', message: 'two rings: another one was recovered from the same members, and the two never merge',
      fields: { ownEpoch: this.#deps.keeper.layout?.epoch, otherEpoch: shown.epoch, otherMembers: this.#fork.members.join(', ') },
    });
  }

  layoutChanged(): void {
    this.#fork = null;
    this.#checks.clear();
  }

  tick(now: MonotonicMs): void {
    this.#now = now;
    const { forkLookMs } = this.#deps.times;
    if (this.#fork !== null && this.#seenAt !== null && elapsedMs(this.#seenAt, now) > LOOKS_REMEMBERED * forkLookMs) this.#fork = null;
    if (this.#lookedAt !== null && elapsedMs(this.#lookedAt, now) < forkLookMs) return;
    this.#lookedAt = now;
    const { layout } = this.#deps.keeper;
    if (layout === null || layout.recoveries.length === 0) return;
    const given = new Set(layout.recoveries.flatMap((recovery) => recovery.lost));
    for (const member of layout.members) if (member.state !== 'lost') given.delete(member.advertise);
    const address = [...given][this.#turn++ % given.size];
    if (address !== undefined) this.#askAt(address, layout);
  }

  #askAt(advertise: string, layout: Layout): void {
    const { exchange, keeper, times } = this.#deps;
    exchange.ask<'layout-fetch'>({ advertise, nodeId: null }, { kind: 'layout-fetch' }, times.askTimeoutMs, (answer) => {
      if (answer.kind === 'none' || answer.reply.layout === null || keeper.layout !== layout) return;
      const shown = answer.reply.layout;
      if (descentOf(shown, layout) !== 'older') return void keeper.offer(shown, answer.from);
      exchange.ask<'layout-announce'>({ advertise, nodeId: answer.from }, { kind: 'layout-announce', layout }, times.askTimeoutMs, () => undefined);
    });
  }
}
