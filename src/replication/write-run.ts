/**
 * Write run: carries one write operation (register/write-operation.ts) over the network until it ends. The machine
 * decides; this shell sends to all replicas of old ∪ new at once, this node included, hands every reply to the machine in
 * the order of arrival, and begins again with a higher ballot after a random back-off.
 *
 * A round acts as soon as its quorum is met: the calls still open go on, and nobody waits for them. Every call ends by
 * its time-out, so a run ends by its deadline without a timer of its own. Replies of earlier rounds are ignored.
 * Cost of a put: two calls for each replica and one object for each round.
 * Source: protocol section C.2, rules R2, R3, R9.
 */
import { assertNever } from '../domain/assert.ts';
import { ZERO_BALLOT, type Ballot } from '../domain/ballot.ts';
import type { NodeId } from '../domain/ids.ts';
import type { MonotonicMs } from '../domain/instant.ts';
import type { Position } from '../domain/ring-position.ts';
import { hasher } from '../ring/hasher.ts';
import type { ClusterView } from '../ring/cluster-view.ts';
import { memberById, replicaSets, type ReplicaSets } from '../ring/placement.ts';
import type { AcceptRequest, PrepareRequest, StaleEpochReply } from '../protocol/message.ts';
import type { WriteIntent } from '../register/proposal.ts';
import { WriteOperation, type WriteResult, type WriteStep } from '../register/write-operation.ts';
import { exchangeLayouts } from './layout-exchange.ts';
import { askingOrder, backOffMs, leftMs, type OperationContext } from './operation-context.ts';

/** The last round, for receipts: what was chosen, by whom, in which view. */
export interface ChosenIn {
  readonly view: ClusterView;
  readonly sets: ReplicaSets;
  readonly position: Position;
  readonly chosenBy: readonly NodeId[];
}

export type WriteEnd =
  | { readonly kind: 'settled'; readonly result: WriteResult; readonly round: ChosenIn }
  /** The time is up, or there is no layout. `isProposed`: the write may be there. */
  | { readonly kind: 'gave-up'; readonly isProposed: boolean; readonly reason: 'no-quorum' | 'no-layout' };

interface Round {
  readonly view: ClusterView;
  readonly sets: ReplicaSets;
  readonly position: Position;
  readonly ballot: Ballot;
  /** Replicas that were told of our layout in this round already: once is enough. */
  told: NodeId[] | null;
}

export class WriteRun {
  readonly #context: OperationContext;
  readonly #name: string;
  readonly #body: Buffer | null;
  readonly #deadline: MonotonicMs;
  readonly #operation: WriteOperation;
  readonly #done: (end: WriteEnd) => void;
  #round: Round | null = null;
  #attempt = 0;

  /** `body`: bytes that PREPARE stages. `done` is called exactly once. */
  constructor(context: OperationContext, name: string, intent: WriteIntent, body: Buffer | null, deadline: MonotonicMs, done: (end: WriteEnd) => void) {
    this.#context = context;
    this.#name = name;
    this.#body = body;
    this.#deadline = deadline;
    this.#operation = new WriteOperation(intent, context.rules);
    this.#done = done;
  }

  begin(refused: Ballot = ZERO_BALLOT): void {
    const { views, clock, ballots } = this.#context;
    const view = views.current();
    this.#round = null;
    if (view === null || leftMs(this.#context, this.#deadline) === 0) {
      this.#done({ kind: 'gave-up', isProposed: this.#operation.hasProposed, reason: view === null ? 'no-layout' : 'no-quorum' });
      return;
    }
    const { layout } = view;
    const position = hasher(this.#name, layout.keyBits);
    const sets = replicaSets(layout, position);
    const ballot = { epoch: layout.epoch, hlc: ballots.next(clock.wallNow(), refused.hlc), nodeId: view.self };
    const round: Round = { view, sets, position, ballot, told: null };
    this.#round = round;
    this.#attempt++;
    this.#operation.begin(ballot, sets, view.unreachable);
    const { intent } = this.#operation;
    const staged = intent.kind === 'put' ? { bodyId: intent.body.bodyId, sha256: intent.body.sha256 } : null;
    const request: PrepareRequest = { kind: 'prepare', epoch: layout.epoch, name: this.#name, ballot, staged, body: this.#body };
    for (const id of askingOrder(view, sets)) this.#prepare(round, id, request);
  }

  #prepare(round: Round, id: NodeId, request: PrepareRequest): void {
    const target = { advertise: memberById(round.view.layout, id)?.advertise ?? '', nodeId: id };
    const lost = (): void => { this.#take(round, this.#operation.onPrepareFailure(id)); };
    void this.#context.caller.call<'prepare'>(target, request, this.#callMs()).then((outcome) => {
      if (round !== this.#round) return;
      const reply = outcome.kind === 'reply' ? outcome.reply : null;
      if (reply?.kind === 'prepare-reply') this.#take(round, this.#operation.onPrepareReply(id, reply));
      else if (reply?.kind === 'stale-epoch') this.#onStale(round, id, reply, () => { this.#prepare(round, id, request); }, lost);
      else lost();
    });
  }

  #accept(round: Round, id: NodeId, request: AcceptRequest): void {
    const target = { advertise: memberById(round.view.layout, id)?.advertise ?? '', nodeId: id };
    const lost = (): void => { this.#take(round, this.#operation.onAcceptFailure(id)); };
    void this.#context.caller.call<'accept'>(target, request, this.#callMs()).then((outcome) => {
      if (round !== this.#round) return;
      const reply = outcome.kind === 'reply' ? outcome.reply : null;
      if (reply?.kind === 'accept-reply') this.#take(round, this.#operation.onAcceptReply(id, reply.state, reply.promised));
      else if (reply?.kind === 'stale-epoch') this.#onStale(round, id, reply, () => { this.#accept(round, id, request); }, lost);
      else lost();
    });
  }

  #take(round: Round, step: WriteStep): void {
    switch (step.kind) {
      case 'wait':
        return;
      case 'accept': {
        const { epoch } = round.view.layout;
        const request: AcceptRequest = { kind: 'accept', epoch, name: this.#name, ballot: round.ballot, record: step.record, holders: step.holders };
        for (const id of askingOrder(round.view, round.sets)) this.#accept(round, id, request);
        return;
      }
      case 'retry': {
        this.#round = null;
        const delayMs = Math.min(backOffMs(this.#context, this.#attempt), leftMs(this.#context, this.#deadline));
        this.#context.timers.after(delayMs, () => { this.begin(step.refused); });
        return;
      }
      case 'finished': {
        this.#round = null;
        const { view, sets, position } = round;
        this.#done({ kind: 'settled', result: step.result, round: { view, sets, position, chosenBy: this.#operation.chosenBy } });
        return;
      }
      default:
        assertNever(step);
    }
  }

  #onStale(round: Round, id: NodeId, reply: StaleEpochReply, askAgain: () => void, lost: () => void): void {
    const { layout } = round.view;
    if (round.told?.includes(id) === true) {
      lost();
      return;
    }
    round.told = [...(round.told ?? []), id];
    const target = { advertise: memberById(layout, id)?.advertise ?? '', nodeId: id };
    void exchangeLayouts(this.#context, layout.epoch, target, reply).then((outcome) => {
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
