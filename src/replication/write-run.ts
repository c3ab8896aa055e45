/**
 * Write run: carries one write operation (register/write-operation.ts) over the network until it ends. The machine
 * decides; this shell sends to all replicas of old ∪ new at once, this node included, hands every reply to the machine in
 * the order of arrival, and begins again with a higher ballot after a random back-off.
 *
 * A round acts as soon as its quorum is met: the calls still open go on, and nobody waits for them. Every call ends by
 * its time-out, so a run ends by its deadline without a timer of its own. Replies of earlier rounds are ignored.
 * A replica to which a large body is still on its way is asked again as long as it makes progress, and so long the
 * deadline moves on; if it makes none for `progressMs` it counts as failed. A write whose large body nobody has any more
 * ends at once (body-arrival.ts), and so does one that isn't proposed yet when its client has gone.
 * Cost of a put: two calls for each replica and one object for each round.
 * Source: protocol section C.2, rules R2, R3, R9.
 */
import { assertNever } from '../domain/assert.ts';
import type { Ballot } from '../domain/ballot.ts';
import type { NodeId } from '../domain/ids.ts';
import { elapsedMs, plusMs, type MonotonicMs } from '../domain/instant.ts';
import type { IsAwaited } from '../domain/object-operation.ts';
import type { Position } from '../domain/ring-position.ts';
import type { ObjectRecord } from '../domain/stored-object.ts';
import { hasher } from '../ring/hasher.ts';
import type { ClusterView } from '../ring/cluster-view.ts';
import { memberById, replicaSets, type ReplicaSets } from '../ring/placement.ts';
import type { AcceptRequest, PrepareRequest, StaleEpochReply } from '../protocol/message.ts';
import type { WriteIntent } from '../register/proposal.ts';
import { WriteOperation, type WriteResult, type WriteStep } from '../register/write-operation.ts';
import { BodyArrival } from './body-arrival.ts';
import { exchangeLayouts } from './layout-exchange.ts';
import { askingOrder, backOffMs, deadlineWithout, isTooFull, leftMs, type OperationContext } from './operation-context.ts';

/** The last round, for receipts: what was chosen, by whom, in which view. */
export interface ChosenIn {
  readonly view: ClusterView;
  readonly sets: ReplicaSets;
  readonly position: Position;
  readonly chosenBy: readonly NodeId[];
}

/** Who asked for a write. */
export interface Asker {
  readonly isAwaited: IsAwaited;
  /** When, if it named the operation itself and may therefore ask for it again elsewhere; null: it can't. */
  readonly heard: { readonly at: MonotonicMs; readonly ballot: Ballot } | null;
}

/** Milliseconds within which nobody is taken to ask again: a key that many write at once would forget those that wait their turn. */
const ASKED_ONCE_MS = 1_000;

export type WriteEnd =
  | { readonly kind: 'settled'; readonly result: WriteResult; readonly round: ChosenIn }
  /** The time is up, there is no layout, the body is nowhere any more, or nobody waits for a write that isn't proposed. `isProposed`: it may be there. */
  | { readonly kind: 'gave-up'; readonly isProposed: boolean; readonly reason: 'no-quorum' | 'no-layout' | 'body-lost' | 'disk-full' | 'abandoned' };

/** Bytes that PREPARE stages; or, for a large body, who holds it already: may grow while the run goes on. Null: no body. */
export type WriteBody = Buffer | readonly NodeId[] | null;

interface Round {
  /** Nothing of this run's own can have been accepted before this round. */
  readonly isFirstProposal: boolean;
  readonly view: ClusterView;
  readonly sets: ReplicaSets;
  readonly position: Position;
  readonly ballot: Ballot;
  /** Replicas that were told of our layout in this round already: once is enough. */
  told: NodeId[] | null;
  /** Replicas to which no call could be sent. */
  unsent: NodeId[] | null;
  /** Replicas that did not accept, as far as is known before the value is chosen. */
  missed: NodeId[] | null;
  isChosen: boolean;
  /** ACCEPTs without an answer yet, and replicas that accepted. */
  open: number;
  confirmed: number;
  /** Replicas that said that they have no room. */
  full: NodeId[] | null;
}

export class WriteRun {
  readonly #context: OperationContext;
  readonly #name: string;
  readonly #body: WriteBody;
  readonly #beginAt: MonotonicMs;
  #deadline: MonotonicMs;
  readonly #operation: WriteOperation;
  readonly #asker: Asker;
  readonly #done: (end: WriteEnd) => void;
  #round: Round | null = null;
  /** Null: no replica lacked a body yet. */
  #arrival: BodyArrival | null = null;
  #attempt = 0;
  #isOver = false;
  #isApplied = false;

  /** `done` is called exactly once. */
  constructor(context: OperationContext, name: string, intent: WriteIntent, body: WriteBody, deadline: MonotonicMs, asker: Asker, done: (end: WriteEnd) => void) {
    this.#context = context;
    this.#name = name;
    this.#body = body;
    this.#beginAt = context.clock.monotonicNow();
    this.#deadline = deadline;
    this.#operation = new WriteOperation(intent, context.rules);
    this.#asker = asker;
    this.#done = done;
  }

  /** With a ballot above `refused`. */
  begin(refused: Ballot): void {
    if (this.#isOver) return;
    const { views, clock, ballots } = this.#context;
    const view = views.current();
    this.#round = null;
    if (view === null || leftMs(this.#context, this.#deadline) === 0) {
      this.#end({ kind: 'gave-up', isProposed: this.#operation.hasProposed, reason: view === null ? 'no-layout' : 'no-quorum' });
      return;
    }
    const isFirstProposal = !this.#operation.hasProposed;
    if (this.#endIfAbandoned(isFirstProposal)) return;
    const { layout } = view;
    const position = hasher(this.#name, layout.keyBits);
    const sets = replicaSets(layout, position);
    const ballot = { epoch: layout.epoch, hlc: ballots.next(clock.wallNow(), refused.hlc), nodeId: view.self };
    const round: Round = { isFirstProposal, view, sets, position, ballot, told: null, unsent: null, full: null, missed: null, isChosen: false, open: 0, confirmed: 0 };
    this.#round = round;
    this.#attempt++;
    this.#operation.begin(ballot, sets, view.unreachable, this.#askedAgainSince(clock.monotonicNow()));
    const { intent } = this.#operation;
    const body = Buffer.isBuffer(this.#body) ? this.#body : null;
    const staged = intent.kind === 'put' && body !== null ? { bodyId: intent.body.bodyId, sha256: intent.body.sha256 } : null;
    const request: PrepareRequest = { kind: 'prepare', epoch: layout.epoch, name: this.#name, ballot, staged, body };
    for (const id of askingOrder(view, sets)) this.#prepare(round, id, request);
  }

  #prepare(round: Round, id: NodeId, request: PrepareRequest): void {
    const target = { advertise: memberById(round.view.layout, id)?.advertise ?? '', nodeId: id };
    const lost = (): void => { this.#take(round, this.#operation.onPrepareFailure(id)); };
    void this.#context.caller.call<'prepare'>(target, request, this.#callMs()).then((outcome) => {
      if (round !== this.#round) return;
      const reply = outcome.kind === 'reply' ? outcome.reply : null;
      if (reply?.kind === 'prepare-reply') this.#take(round, this.#operation.onPrepareReply(id, reply));
      else if (reply?.kind === 'stale-epoch') this.#onStale(round, id, reply, () => { this.#prepare(round, id, request); }, lost, () => undefined);
      else {
        if (outcome.kind === 'not-sent') round.unsent = [...(round.unsent ?? []), id];
        if (reply?.kind === 'fault' && reply.code === 'DHT_ERR_DISK_FULL') round.full = [...(round.full ?? []), id];
        lost();
      }
    });
  }

  #accept(round: Round, id: NodeId, request: AcceptRequest): void {
    const target = { advertise: memberById(round.view.layout, id)?.advertise ?? '', nodeId: id };
    const lost = (): void => { this.#take(round, this.#operation.onAcceptFailure(id)); };
    round.open++;
    void this.#context.caller.call<'accept'>(target, request, this.#callMs()).then((outcome) => {
      const reply = outcome.kind === 'reply' ? outcome.reply : null;
      round.open--;
      if (reply?.kind === 'accept-reply' && reply.state === 'accepted') round.confirmed++;
      if (round.isChosen) this.#countConfirmed(round);
      if (reply?.kind === 'accept-reply' && reply.state === 'body-missing') this.#onMissing(round, id);
      const isTaking = reply?.kind === 'accept-reply' && (reply.state === 'accepted' || reply.state === 'body-pulling');
      // While the round lasts, one with another layout may be asked again.
      if (!isTaking && (reply?.kind !== 'stale-epoch' || round !== this.#round)) this.#onMissed(round, id);
      if (round !== this.#round) return;
      if (reply?.kind === 'accept-reply') {
        if (reply.state === 'body-pulling') this.#onPulling(round, id, reply.pulledBytes, () => { this.#accept(round, id, request); }, lost);
        else this.#take(round, this.#operation.onAcceptReply(id, reply.state, reply.promised));
      }
      else if (reply?.kind === 'stale-epoch') this.#onStale(round, id, reply, () => { this.#accept(round, id, request); }, lost, () => { this.#onMissed(round, id); });
      else lost();
    });
  }

  #take(round: Round, step: WriteStep): void {
    switch (step.kind) {
      case 'wait':
        return;
      case 'accept': {
        if (this.#endIfAbandoned(round.isFirstProposal)) return;
        const { epoch } = round.view.layout;
        const request: AcceptRequest = {
          kind: 'accept', epoch, name: this.#name, ballot: round.ballot, record: step.record, holders: this.#holders(step.record, step.holders),
        };
        for (const id of askingOrder(round.view, round.sets)) this.#accept(round, id, request);
        return;
      }
      case 'retry': {
        this.#round = null;
        // More time makes no room.
        if (round.full !== null && !this.#operation.hasProposed && isTooFull(round.view, round.sets, round.full)) {
          this.#end({ kind: 'gave-up', isProposed: false, reason: 'disk-full' });
          return;
        }
        if (round.unsent !== null && !this.#operation.hasProposed) {
          this.#deadline = deadlineWithout(this.#context, round.unsent, round.sets, this.#beginAt, this.#deadline);
        }
        const delayMs = Math.min(backOffMs(this.#context, this.#attempt, this.#operation.intent.kind), leftMs(this.#context, this.#deadline));
        this.#context.timers.after(delayMs, () => { this.begin(step.refused); });
        return;
      }
      case 'finished': {
        const { view, sets, position } = round;
        round.isChosen = true;
        this.#isApplied = this.#operation.intent.kind !== 'identity' && step.result.kind === 'applied';
        this.#context.retries.succeeded();
        this.#countConfirmed(round);
        for (const id of round.missed ?? []) this.#onMissed(round, id);
        this.#end({ kind: 'settled', result: step.result, round: { view, sets, position, chosenBy: this.#operation.chosenBy } });
        return;
      }
      default:
        assertNever(step);
    }
  }

  /** Who has the record's body: as reported in this round, or, when it is this run's own, who took it before. */
  #holders(record: ObjectRecord, reported: readonly NodeId[]): readonly NodeId[] {
    const { intent } = this.#operation;
    const isOwn = intent.kind === 'put' && record.kind === 'object' && record.body.bodyId === intent.body.bodyId;
    if (!isOwn || this.#body === null || Buffer.isBuffer(this.#body)) return reported;
    return [...this.#body, ...reported];
  }

  /** The replica lacks what this round chose, or will choose. */
  #onMissed(round: Round, id: NodeId): void {
    if (round.isChosen) this.#context.repair.missed(id, this.#name, round.ballot, 'write');
    else round.missed = [...(round.missed ?? []), id];
  }

  /** Once all replicas have answered, or their calls have ended: after the answer to the client, as a rule. */
  #countConfirmed(round: Round): void {
    if (round.open > 0 || !this.#isApplied) return;
    this.#context.onWrite(round.confirmed === round.sets.all.length ? 'full' : 'quorum');
  }

  /** Counts also when the round was over before: two of three are enough to end it, and the third may know most. */
  #onMissing(round: Round, id: NodeId): void {
    this.#arrival ??= new BodyArrival(this.#context.options.bodies.progressMs);
    this.#arrival.onMissing(id);
    this.#endIfBodyLost(round);
  }

  /** The replica waited a moment before it answered so: asked again at once, it waits again. */
  #onPulling(round: Round, id: NodeId, pulledBytes: number, askAgain: () => void, lost: () => void): void {
    const { clock, timers, options } = this.#context;
    const now = clock.monotonicNow();
    this.#arrival ??= new BodyArrival(options.bodies.progressMs);
    const state = this.#arrival.onPulling(id, pulledBytes, now);
    this.#endIfBodyLost(round);
    if (round !== this.#round) return;
    if (state === 'stalled') {
      lost();
      return;
    }
    const later = plusMs(now, options.bodies.progressMs);
    if (state === 'progress' && later > this.#deadline) this.#deadline = later;
    timers.after(options.backOffMinMs, () => { if (round === this.#round) askAgain(); });
  }

  /** Ends the run when nobody has its own body any more: neither those who took it, nor any replica. */
  #endIfBodyLost(round: Round): void {
    if (this.#isOver || this.#body === null || Buffer.isBuffer(this.#body)) return;
    if (this.#arrival?.isLackedBy(this.#body) === true && this.#arrival.isLackedBy(round.sets.all)) {
      this.#end({ kind: 'gave-up', isProposed: this.#operation.hasProposed, reason: 'body-lost' });
    }
  }

  /** No ACCEPT has left, and the client has gone: it may have written elsewhere meanwhile, so this must not come after that. */
  #endIfAbandoned(isFirstProposal: boolean): boolean {
    if (!isFirstProposal || this.#asker.isAwaited()) return false;
    this.#end({ kind: 'gave-up', isProposed: false, reason: 'abandoned' });
    return true;
  }

  #askedAgainSince(now: MonotonicMs): Ballot | null {
    const { heard } = this.#asker;
    return heard === null || elapsedMs(heard.at, now) < ASKED_ONCE_MS ? null : heard.ballot;
  }

  #end(end: WriteEnd): void {
    this.#isOver = true;
    this.#round = null;
    this.#done(end);
  }

  /** `notAgain`: the replica won't be asked again in this round, whether that goes on or is over. */
  #onStale(round: Round, id: NodeId, reply: StaleEpochReply, askAgain: () => void, lost: () => void, notAgain: () => void): void {
    const { layout } = round.view;
    if (round.told?.includes(id) === true) {
      notAgain();
      lost();
      return;
    }
    round.told = [...(round.told ?? []), id];
    const target = { advertise: memberById(layout, id)?.advertise ?? '', nodeId: id };
    void exchangeLayouts(this.#context, layout.epoch, target, reply).then((outcome) => {
      if (outcome !== 'told' || round !== this.#round) notAgain();
      if (round !== this.#round) return;
      if (outcome === 'moved-on') this.begin(round.ballot);
      else if (outcome === 'told') askAgain();
      else lost();
    });
  }

  #callMs(): number {
    return Math.max(1, Math.min(this.#context.options.callTimeoutMs, leftMs(this.#context, this.#deadline)));
  }
}
