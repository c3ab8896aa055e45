/**
 * Chain driver: the layout chain's acceptor and proposer with messages and writes put round them.
 *
 * As acceptor it adopts the carried layout first, votes, and answers when the vote is durable. As proposer it runs one
 * round at a time; a round that fails rests for a random, growing while, so that two proposers don't push each other out
 * for ever. What is decided goes to all members of the old and the new layout at once.
 *
 * Ballots: hlc = round * 2^24 + boot. The boot makes a ballot unique over the lives of a process, which a bare counter
 * isn't: two values could then be accepted under one ballot.
 * Source: protocol section A.4 (1), (2); [PaxosSimple] "Choosing a Value", "Progress".
 */
import { assertNever } from '../domain/assert.ts';
import type { Ballot } from '../domain/ballot.ts';
import type { NodeId } from '../domain/ids.ts';
import { isAtOrAfter, plusMs, type MonotonicMs } from '../domain/instant.ts';
import type { Layout } from '../domain/layout.ts';
import { acceptorStep, type ChainReply, type ChainRequest } from '../layout/chain-acceptor.ts';
import { chainBallot, proposerStep, startProposal, type ProposerState, type ProposerStep } from '../layout/chain-proposer.ts';
import type { Random } from '../ports/random.ts';
import type { FaultReply, LayoutAcceptRequest, LayoutPrepareRequest, PeerReply } from '../protocol/message.ts';
import { memberById } from '../ring/placement.ts';
import type { Answer, Exchange } from './exchange.ts';
import type { LayoutKeeper } from './layout-keeper.ts';
import type { MembershipTimes } from './membership-options.ts';

/** Boots that a ballot tells apart: more of them than a disk survives. */
const BOOT_RANGE = 2 ** 24;

export interface ChainDriverDeps {
  readonly self: NodeId;
  readonly boot: number;
  readonly exchange: Exchange;
  readonly keeper: LayoutKeeper;
  readonly random: Random;
  readonly times: MembershipTimes;
  /** No votes now: a recovery may come to its end (recover.ts). */
  readonly isFenced: (now: MonotonicMs) => boolean;
}

interface Round {
  proposer: ProposerState;
  /** Requests of the present phase that are not settled. */
  waiting: number;
}

export class ChainDriver {
  readonly #deps: ChainDriverDeps;
  #round: Round | null = null;
  /** Highest round number used here or seen in a refusal. */
  #roundNumber = 0;
  #restUntil: MonotonicMs | null = null;
  #failures = 0;

  constructor(deps: ChainDriverDeps) {
    this.#deps = deps;
  }

  // --------------------------------------------------------------------------------------------------- acceptor

  /** Answers layout-prepare and layout-accept. */
  serve(id: number, from: NodeId, request: LayoutPrepareRequest | LayoutAcceptRequest, now: MonotonicMs): void {
    const { exchange, keeper } = this.#deps;
    const own = keeper.layout;
    if (own !== null && own.clusterId !== request.layout.clusterId) return this.#refuse(id, 'DHT_ERR_CLUSTER_FOREIGN', 'a vote for another ring');
    if (request.kind === 'layout-accept' && !isSuccessor(request.value, request.layout)) {
      return this.#refuse(id, 'DHT_ERR_PEER_PROTOCOL', 'the value does not follow its layout');
    }
    const isKept = keeper.whenSettled((at) => {
      if (this.#deps.isFenced(at)) return this.#refuse(id, 'DHT_ERR_NOT_READY', 'a recovery is under way');
      const chain: ChainRequest = request.kind === 'layout-prepare'
        ? { kind: 'prepare', layout: request.layout, ballot: request.ballot }
        : { kind: 'accept', layout: request.layout, ballot: request.ballot, value: request.value };
      const step = acceptorStep({ self: this.#deps.self, layout: keeper.layout, slot: keeper.slot }, chain);
      switch (step.kind) {
        case 'adopt':
          if (keeper.offer(step.layout, from) && keeper.isChanging) this.serve(id, from, request, at);
          else this.#refuse(id, 'DHT_ERR_NOT_READY', 'no member of that ring');
          return;
        case 'vote':
          keeper.vote(step.slot);
          exchange.write((tag) => ({ kind: 'save-slot', tag, slot: step.slot }), () => {
            exchange.emit({ kind: 'reply', id, reply: messageOf(request.kind, step.reply) });
          });
          return;
        case 'reply':
          exchange.afterWrites(() => { exchange.emit({ kind: 'reply', id, reply: messageOf(request.kind, step.reply) }); }, at);
          return;
        default:
          assertNever(step);
      }
    }, now);
    if (!isKept) this.#refuse(id, 'DHT_ERR_OVERLOADED', 'too many requests wait for a layout');
  }

  // --------------------------------------------------------------------------------------------------- proposer

  /** Whether a round may start now: none runs, none rests, the layout isn't changing. */
  isFree(now: MonotonicMs): boolean {
    return this.#round === null && !this.#deps.keeper.isChanging && (this.#restUntil === null || isAtOrAfter(now, this.#restUntil));
  }

  /** Proposes `wish` as the next layout; null: a probe, which ends what others left half done. */
  propose(wish: Layout | null, now: MonotonicMs): void {
    const { layout } = this.#deps.keeper;
    if (layout === null || !this.isFree(now)) return;
    this.#roundNumber += 1;
    const hlc = this.#roundNumber * BOOT_RANGE + (this.#deps.boot % BOOT_RANGE);
    const step = startProposal(layout, chainBallot(layout, hlc, this.#deps.self), wish);
    const round: Round = { proposer: step.state, waiting: 0 };
    this.#round = round;
    this.#carryOut(round, step, now);
  }

  /** A newer layout is durable: the round that ran was about an older instance. */
  layoutChanged(): void {
    this.#round = null;
    this.#failures = 0;
    this.#restUntil = null;
  }

  #carryOut(round: Round, step: ProposerStep, now: MonotonicMs): void {
    round.proposer = step.state;
    for (const effect of step.effects) {
      switch (effect.kind) {
        case 'send':
          round.waiting = effect.to.length;
          for (const voter of effect.to) this.#ask(round, voter, effect.request);
          break;
        case 'decided':
          this.#round = null;
          this.#announce(round.proposer.layout, effect.layout);
          this.#deps.keeper.offer(effect.layout, this.#deps.self);
          break;
        case 'superseded':
          this.#round = null;
          this.#deps.keeper.offer(effect.layout, null);
          break;
        case 'refused':
          this.#roundNumber = Math.max(this.#roundNumber, Math.floor(effect.promised.hlc / BOOT_RANGE));
          this.#rest(now);
          break;
        case 'idle':
          this.#rest(now);
          break;
        default:
          assertNever(effect);
      }
    }
  }

  #ask(round: Round, voter: NodeId, request: ChainRequest): void {
    const { exchange, times } = this.#deps;
    const { phase, layout } = round.proposer;
    const advertise = memberById(layout, voter)?.advertise ?? '';
    const target = { advertise, nodeId: voter };
    const settle = (answer: Answer<'layout-prepare' | 'layout-accept'>, now: MonotonicMs): void => {
      if (this.#round !== round) return;
      if (answer.kind === 'reply') {
        const reply = chainReplyOf(answer.reply);
        if (reply !== null) this.#carryOut(round, proposerStep(round.proposer, voter, reply), now);
      }
      if (this.#round !== round || round.proposer.phase !== phase) return;
      round.waiting -= 1;
      if (round.waiting === 0) this.#rest(now);
    };
    if (request.kind === 'prepare') {
      exchange.ask<'layout-prepare'>(target, { kind: 'layout-prepare', layout: request.layout, ballot: request.ballot }, times.askTimeoutMs, settle);
    } else {
      exchange.ask<'layout-accept'>(target, { kind: 'layout-accept', layout: request.layout, ballot: request.ballot, value: request.value }, times.askTimeoutMs, settle);
    }
  }

  #rest(now: MonotonicMs): void {
    const { random, times } = this.#deps;
    this.#round = null;
    const restMs = Math.min(times.proposalRestMaxMs, times.proposalRestMs * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    this.#restUntil = plusMs(now, restMs * (0.5 + random.float()));
  }

  #announce(present: Layout, decided: Layout): void {
    const { exchange, keeper, self, times } = this.#deps;
    for (const member of unionOfMembers(present, decided)) {
      if (member.nodeId === self) continue;
      exchange.ask<'layout-announce'>(member, { kind: 'layout-announce', layout: decided }, times.askTimeoutMs, (answer) => {
        if (answer.kind === 'reply' && answer.reply.layout !== null) keeper.offer(answer.reply.layout, answer.from);
      });
    }
  }

  #refuse(id: number, code: FaultReply['code'], detail: string): void {
    this.#deps.exchange.emit({ kind: 'reply', id, reply: { kind: 'fault', code, detail } });
  }
}

function isSuccessor(value: Layout, layout: Layout): boolean {
  return value.epoch === layout.epoch + 1 && value.clusterId === layout.clusterId;
}

function unionOfMembers(present: Layout, decided: Layout): readonly { readonly nodeId: NodeId; readonly advertise: string }[] {
  const gone = present.members.filter((member) => memberById(decided, member.nodeId) === undefined);
  return [...decided.members, ...gone].map(({ nodeId, advertise }) => ({ nodeId, advertise }));
}

function messageOf(asked: 'layout-prepare' | 'layout-accept', reply: ChainReply): PeerReply {
  switch (reply.kind) {
    case 'promised': return { kind: 'layout-prepare-reply', state: 'promised', promised: reply.ballot, accepted: reply.accepted };
    case 'accepted': return { kind: 'layout-accept-reply', state: 'accepted', promised: reply.ballot };
    case 'refused': return refusal(asked, reply.promised);
    case 'layout': return { kind: 'layout-reply', layout: reply.layout };
    default: return assertNever(reply);
  }
}

function refusal(asked: 'layout-prepare' | 'layout-accept', promised: Ballot): PeerReply {
  return asked === 'layout-prepare'
    ? { kind: 'layout-prepare-reply', state: 'refused', promised, accepted: null }
    : { kind: 'layout-accept-reply', state: 'refused', promised };
}

function chainReplyOf(reply: Extract<PeerReply, { kind: 'layout-prepare-reply' | 'layout-accept-reply' | 'layout-reply' }>): ChainReply | null {
  switch (reply.kind) {
    case 'layout-reply': return reply.layout === null ? null : { kind: 'layout', layout: reply.layout };
    case 'layout-prepare-reply':
      return reply.state === 'promised' ? { kind: 'promised', ballot: reply.promised, accepted: reply.accepted } : { kind: 'refused', promised: reply.promised };
    case 'layout-accept-reply':
      return reply.state === 'accepted' ? { kind: 'accepted', ballot: reply.promised } : { kind: 'refused', promised: reply.promised };
    default: return assertNever(reply);
  }
}
