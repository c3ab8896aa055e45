/**
 * Recover: an operator's word that members are gone for good, turned into one layout that all survivors share.
 *
 * ```
 *   asked --needed, cost accepted--> preparing --all survivors promised--> adopting --all took it--> recovered
 *              |                        |  one refuses, is silent,            |
 *              v                        v  or knows a newer layout            v  one is silent
 *           refused                  refused                              unknown: ask dht status
 * ```
 * There is no majority to rely on, so *every* survivor has to agree: on the layout to set out from, and that each lost
 * member is down for it too. Two operators at two nodes don't make two rings: a survivor takes the layout only of the ballot
 * that it promised last, and the node that was spoken to takes it last. A promise is volatile, because a node that was
 * restarted in between has promised nothing and refuses. For a while after a promise the node gives no vote in the layout
 * chain, so that votes and recovery can't pass each other by.
 *
 * A cut between survivors can't be told from their loss: both sides may then be recovered, and are two rings for good
 * (layout/descent.ts), which fork-watch.ts finds out.
 * Source: protocol section A.4 (12); the two rounds are [PaxosSimple] "Choosing a Value" with all as the only quorum.
 */
import type { Ballot } from '../domain/ballot.ts';
import { compareBallots } from '../domain/ballot.ts';
import type { NodeId } from '../domain/ids.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { Layout, LayoutMember } from '../domain/layout.ts';
import { RECOVERIES_MAX } from '../domain/limits.ts';
import { assessRecovery, costInWords, recoveredLayout } from '../layout/recovery.ts';
import type { Random } from '../ports/random.ts';
import type { NodeRef, PeerReply, RecoverAdoptRequest, RecoverPrepareRequest } from '../protocol/message.ts';
import { memberById } from '../ring/placement.ts';
import type { Exchange } from './exchange.ts';
import type { LayoutKeeper } from './layout-keeper.ts';
import type { MemberTable } from './member-table.ts';
import type { MembershipTimes } from './membership-options.ts';

/**
 * The epoch jumps by this and a random part: above what the lost members may have decided meanwhile, and far from where
 * another recovery of the same ring lands. RECOVERIES_MAX of them stay below 2^32, which is what the key index has room for.
 */
const EPOCH_JUMP_MIN = 2 ** 16;
const EPOCH_JUMP_RANGE = 2 ** 25;

export interface RecoverDeps {
  readonly self: NodeRef;
  readonly exchange: Exchange;
  readonly keeper: LayoutKeeper;
  readonly table: MemberTable;
  readonly random: Random;
  readonly times: MembershipTimes;
  readonly isUp: (nodeId: NodeId) => boolean;
}

interface Attempt {
  readonly layout: Layout;
  readonly gone: ReadonlySet<NodeId>;
  readonly ballot: Ballot;
  readonly others: readonly LayoutMember[];
  readonly atMs: number;
  readonly startedAt: MonotonicMs;
  isHalfDone: boolean;
  waiting: number;
}

export class Recover {
  readonly #deps: RecoverDeps;
  #attempt: Attempt | null = null;
  #rounds = 0;
  /** The newest promise given to a recovery, by this node to itself too. */
  #promise: { readonly ballot: Ballot; readonly at: MonotonicMs } | null = null;

  constructor(deps: RecoverDeps) {
    this.#deps = deps;
  }

  /** No vote in the layout chain while a recovery may come to its end. */
  isFenced(now: MonotonicMs): boolean {
    return this.#promise !== null && elapsedMs(this.#promise.at, now) < this.#deps.times.recoverFenceMs;
  }

  layoutChanged(): void {
    this.#promise = null;
  }

  // ------------------------------------------------------------------------------------------------ the operator's node

  begin(isCostAccepted: boolean, atMs: number, now: MonotonicMs): void {
    const { keeper, self, table } = this.#deps;
    const { layout } = keeper;
    if (layout === null || keeper.isChanging || memberById(layout, self.nodeId) === undefined) return this.#refuse('this node is no member of a ring that could be recovered, or a layout is just arriving');
    if (this.#attempt !== null) return this.#refuse('a recovery is under way');
    const gone = new Set(layout.members.map((member) => member.nodeId).filter((nodeId) => table.state(nodeId) === 'down'));
    const { isNeeded, hasVoters } = assessRecovery(layout, gone);
    if (!isNeeded) {
      const doubtful = layout.members.filter((member) => !gone.has(member.nodeId) && !this.#deps.isUp(member.nodeId)).map((member) => member.name);
      const wait = doubtful.length === 0 ? '' : ` It is not certain yet that ${doubtful.join(', ')} is down: ask again in a minute.`;
      return this.#refuse(`nothing to recover: a majority of the voters and of the replicas of every arc is up.${wait}`);
    }
    if (layout.recoveries.length >= RECOVERIES_MAX) return this.#refuse(`this ring was recovered ${RECOVERIES_MAX} times; build a new one`);
    if (!isCostAccepted) return this.#refuse(`acceptDataLoss is missing. ${costInWords(layout, gone)}`);
    const others = layout.members.filter((member) => !gone.has(member.nodeId) && member.nodeId !== self.nodeId);
    this.#rounds += 1;
    const ballot: Ballot = { epoch: layout.epoch + 1, hlc: Math.max(this.#rounds, (this.#promise?.ballot.hlc ?? 0) + 1), nodeId: self.nodeId };
    this.#rounds = ballot.hlc;
    this.#promise = { ballot, at: now };
    const isHalfDone = hasVoters && keeper.slot.accepted !== null;
    const attempt: Attempt = { layout, gone, ballot, others, atMs, startedAt: now, isHalfDone, waiting: others.length };
    this.#attempt = attempt;
    this.#log('a recovery begins', attempt);
    if (others.length === 0) return this.#prepared(attempt, now);
    for (const member of others) this.#prepare(attempt, member, hasVoters);
  }

  #prepare(attempt: Attempt, member: LayoutMember, hasVoters: boolean): void {
    const { exchange, keeper, times } = this.#deps;
    const request: RecoverPrepareRequest = { kind: 'recover-prepare', layout: attempt.layout, ballot: attempt.ballot, lost: [...attempt.gone] };
    exchange.ask<'recover-prepare'>(member, request, times.recoverAskMs, (answer, now) => {
      if (this.#attempt !== attempt) return;
      if (answer.kind === 'none') return this.#refuse(`${member.name} is up but did not agree: ${answer.detail}`);
      if (answer.reply.kind === 'layout-reply') {
        if (answer.reply.layout !== null) keeper.offer(answer.reply.layout, answer.from);
        return this.#refuse(`${member.name} has another layout; ask again in a few seconds`);
      }
      if (answer.reply.state === 'refused') return this.#refuse(`${member.name}: ${answer.reply.detail}`);
      attempt.isHalfDone ||= hasVoters && answer.reply.isHalfDone;
      attempt.waiting -= 1;
      if (attempt.waiting === 0) this.#prepared(attempt, now);
    });
  }

  #prepared(attempt: Attempt, now: MonotonicMs): void {
    const { exchange, keeper, random, self, times } = this.#deps;
    if (attempt.isHalfDone) return this.#refuse('a change of the layout is being decided; ask again in a few seconds');
    if (keeper.layout !== attempt.layout || keeper.isChanging || !this.#isPromised(attempt.ballot, now)) return this.#refuse('the layout changed meanwhile; look at dht status');
    const { layout, gone } = attempt;
    const lost = layout.members.filter((member) => gone.has(member.nodeId)).map((member) => member.advertise);
    const epoch = layout.epoch + EPOCH_JUMP_MIN + random.below(EPOCH_JUMP_RANGE);
    const recovered = recoveredLayout(layout, gone, { epoch, fromEpoch: layout.epoch, atMs: attempt.atMs, by: self.name, lost });
    attempt.waiting = attempt.others.length;
    if (attempt.waiting === 0) return this.#decided(attempt, recovered, now);
    for (const member of attempt.others) {
      const request: RecoverAdoptRequest = { kind: 'recover-adopt', layout: recovered, ballot: attempt.ballot };
      exchange.ask<'recover-adopt'>(member, request, times.recoverAskMs, (answer, at) => {
        if (this.#attempt !== attempt) return;
        if (answer.kind === 'none') return this.#refuse(`whether ${member.name} took the new layout is unknown (${answer.detail}); look at dht status, and ask again if it shows the old one`);
        if (answer.reply.state === 'refused') return this.#refuse(`${member.name}: ${answer.reply.detail}`);
        attempt.waiting -= 1;
        if (attempt.waiting === 0) this.#decided(attempt, recovered, at);
      });
    }
  }

  #decided(attempt: Attempt, recovered: Layout, now: MonotonicMs): void {
    const { exchange, keeper } = this.#deps;
    if (keeper.layout === attempt.layout && !keeper.isChanging && !this.#isPromised(attempt.ballot, now)) return this.#refuse('this node promised another recovery meanwhile');
    keeper.offer(recovered, this.#deps.self.nodeId);
    const isKept = keeper.whenSettled(() => {
      this.#attempt = null;
      if (keeper.layout === null || keeper.layout.epoch < recovered.epoch) return this.#refuse('another layout came first; look at dht status');
      this.#log('the ring was recovered: members were given up for lost', attempt);
      exchange.emit({ kind: 'recovered', layout: recovered });
    }, now);
    if (!isKept) this.#refuse('too much waits for a layout');
  }

  #refuse(detail: string): void {
    this.#attempt = null;
    this.#deps.exchange.emit({ kind: 'recover-refused', detail });
  }

  // ------------------------------------------------------------------------------------------------- every survivor

  /** Answers recover-prepare. */
  servePrepare(id: number, from: NodeId, request: RecoverPrepareRequest, now: MonotonicMs): void {
    const { exchange, keeper } = this.#deps;
    keeper.offer(request.layout, from);
    const isKept = keeper.whenSettled((at) => {
      const reply = this.#promiseTo(request, at);
      exchange.afterWrites(() => { exchange.emit({ kind: 'reply', id, reply }); }, at);
    }, now);
    if (!isKept) exchange.emit({ kind: 'reply', id, reply: { kind: 'fault', code: 'DHT_ERR_OVERLOADED', detail: 'too much waits for a layout' } });
  }

  #promiseTo(request: RecoverPrepareRequest, now: MonotonicMs): PeerReply {
    const { isUp, keeper, table } = this.#deps;
    const { layout } = keeper;
    if (layout === null || !isSameLayout(layout, request.layout)) return { kind: 'layout-reply', layout };
    const refused = (detail: string): PeerReply => ({ kind: 'recover-prepare-reply', state: 'refused', isHalfDone: false, detail });
    const seenUp = request.lost.find((nodeId) => isUp(nodeId));
    if (seenUp !== undefined) return refused(`it sees ${table.ref(seenUp)?.name ?? seenUp} up`);
    if (this.#promise !== null && compareBallots(request.ballot, this.#promise.ballot) <= 0) return refused('another recovery is under way; look at dht status');
    this.#promise = { ballot: request.ballot, at: now };
    return { kind: 'recover-prepare-reply', state: 'promised', isHalfDone: keeper.slot.accepted !== null, detail: '' };
  }

  /** Answers recover-adopt, when the layout is durable. */
  serveAdopt(id: number, from: NodeId, request: RecoverAdoptRequest, now: MonotonicMs): void {
    const { exchange, keeper } = this.#deps;
    const refused = (detail: string): void => { exchange.emit({ kind: 'reply', id, reply: { kind: 'recover-adopt-reply', state: 'refused', detail } }); };
    const { layout } = keeper;
    const hasIt = layout !== null && isSameLayout(layout, request.layout);
    const isMeant = layout !== null && !keeper.isChanging && request.layout.recoveries.at(-1)?.fromEpoch === layout.epoch && this.#isPromised(request.ballot, now);
    if (!hasIt && !isMeant) return refused('it has promised another recovery, or none');
    keeper.offer(request.layout, from);
    const isKept = keeper.whenSettled(() => {
      if ((keeper.layout?.epoch ?? 0) >= request.layout.epoch) exchange.emit({ kind: 'reply', id, reply: { kind: 'recover-adopt-reply', state: 'adopted', detail: '' } });
      else refused('it did not take the layout');
    }, now);
    if (!isKept) refused('too much waits for a layout');
  }

  #isPromised(ballot: Ballot, now: MonotonicMs): boolean {
    return this.#promise !== null && compareBallots(ballot, this.#promise.ballot) === 0 && this.isFenced(now);
  }

  #log(message: string, { layout, gone, others, ballot }: Attempt): void {
    const nameOf = (nodeId: NodeId): string => memberById(layout, nodeId)?.name ?? nodeId;
    this.#deps.exchange.emit({
      kind: 'log', level: 'warn', message,
      fields: { fromEpoch: layout.epoch, round: ballot.hlc, lost: [...gone].map(nameOf).join(', '), survivors: [this.#deps.self.name, ...others.map((member) => member.name)].join(', ') },
    });
  }
}

function isSameLayout(a: Layout, b: Layout): boolean {
  return a.clusterId === b.clusterId && a.epoch === b.epoch && a.recoveries.length === b.recoveries.length;
}
