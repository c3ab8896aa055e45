/**
 * Read run: one get. Asks a quorum of replicas for the record (this node first if it is one, the others by lot), the first
 * of them for the inline body along with it, and answers after one round when they report one accepted ballot. When they
 * don't agree, or one is late or fails, the other replicas are asked too; then it waits a moment for the missing replies
 * and has an identity round choose the value.
 *
 *   ask a quorum --settled--> body at hand? --> found | absent     (large: some replica has it? --> found, to be streamed)
 *      |                        no: fetch it from who reported the record; nobody has it: begin again
 *      +--split, a failure, readGraceMs over---> ask the others
 *      |        +----split---> wait readGraceMs ---> identity round ---> its value
 *      +--impossible, stale--> back off, begin again
 *
 * Asking a quorum first makes a read cost one call to another node where n = 3 and this node is a replica.
 *
 * Source: protocol rule R8, section C.3.
 */
import { assertNever } from '../domain/assert.ts';
import { compareBallots, ZERO_BALLOT, type Ballot } from '../domain/ballot.ts';
import type { NodeId } from '../domain/ids.ts';
import type { MonotonicMs } from '../domain/instant.ts';
import type { GetOutcome } from '../domain/object-operation.ts';
import type { LiveRecord } from '../domain/stored-object.ts';
import type { ReadReply, ReadRequest, StaleEpochReply } from '../protocol/message.ts';
import type { Timer } from '../ports/clock.ts';
import { majorityOf } from '../register/joint-quorum.ts';
import { ReadTally, type AcceptedValue } from '../register/read-decision.ts';
import type { ClusterView } from '../ring/cluster-view.ts';
import { hasher } from '../ring/hasher.ts';
import { memberById, replicaSets, type ReplicaSets } from '../ring/placement.ts';
import { fetchBody, isBodyOf } from './body-source.ts';
import { locateBody, openBytes, openStored, type OpenBody } from './large-body.ts';
import { exchangeLayouts } from './layout-exchange.ts';
import { askingOrder, backOffMs, bodySource, deadlineWithout, leftMs, type OperationContext } from './operation-context.ts';
import type { WriteEnd } from './write-run.ts';

interface Round {
  readonly view: ClusterView;
  readonly sets: ReplicaSets;
  readonly tally: ReadTally;
  /** Asked for the body too. */
  readonly bodyFrom: NodeId | null;
  bodyReply: ReadReply | null;
  /** Replicas that weren't asked yet. */
  unasked: readonly NodeId[];
  /** Replies still out. */
  open: number;
  isBodyOpen: boolean;
  told: NodeId[] | null;
  /** Who reported what. */
  readonly replies: { readonly id: NodeId; readonly accepted: Ballot }[];
  /** Replicas to which no call could be sent. */
  unsent: NodeId[] | null;
  grace: Timer | null;
  /** The grace is over: act on what is there. */
  isPressed: boolean;
}

export class ReadRun {
  readonly #context: OperationContext;
  readonly #name: string;
  readonly #wantBody: boolean;
  readonly #beginAt: MonotonicMs;
  #deadline: MonotonicMs;
  readonly #identity: (done: (end: WriteEnd) => void) => void;
  readonly #done: (outcome: GetOutcome) => void;
  #round: Round | null = null;
  #attempt = 0;

  /** `identity` runs an identity round of this name in its turn. `done` is called exactly once. */
  constructor(
    context: OperationContext, name: string, wantBody: boolean, deadline: MonotonicMs,
    identity: (done: (end: WriteEnd) => void) => void, done: (outcome: GetOutcome) => void,
  ) {
    this.#context = context;
    this.#name = name;
    this.#wantBody = wantBody;
    this.#beginAt = context.clock.monotonicNow();
    this.#deadline = deadline;
    this.#identity = identity;
    this.#done = done;
  }

  begin(): void {
    const view = this.#context.views.current();
    this.#round = null;
    if (view === null || leftMs(this.#context, this.#deadline) === 0) {
      this.#done(view === null
        ? { kind: 'unavailable', code: 'DHT_ERR_NOT_READY', detail: 'this node is in no ring yet' }
        : { kind: 'unavailable', code: 'DHT_ERR_NO_QUORUM', detail: 'too few replicas answered within the deadline' });
      return;
    }
    const { layout } = view;
    const sets = replicaSets(layout, hasher(this.#name, layout.keyBits));
    const order = this.#askingOrder(view, sets);
    const quorum = sets.isMoving || this.#attempt > 0 ? order.length : majorityOf(order.length);
    const bodyFrom = this.#wantBody ? order[0] ?? null : null;
    const round: Round = {
      view, sets, tally: new ReadTally(sets, this.#context.rules), bodyFrom, bodyReply: null, unasked: order.slice(quorum), open: quorum,
      isBodyOpen: bodyFrom !== null, told: null, replies: [], unsent: null, grace: null, isPressed: false,
    };
    this.#round = round;
    this.#attempt++;
    for (let i = 0; i < quorum; i++) this.#ask(round, order[i] as NodeId, this.#wantBody && i === 0);
    if (round.unasked.length > 0) this.#grace(round);
  }

  /** This node, then the other reachable replicas by lot, then those with slow disks, then those that probably don't answer. */
  #askingOrder(view: ClusterView, sets: ReplicaSets): readonly NodeId[] {
    const order = askingOrder(view, sets);
    const isLast = (id: NodeId): boolean => view.unreachable.has(id) || view.strain.slow.has(id);
    const reachable = order.filter((id) => id !== view.self && !isLast(id));
    const first = reachable.length > 1 ? this.#context.random.below(reachable.length) : 0;
    return [
      ...(order.includes(view.self) && !isLast(view.self) ? [view.self] : []), ...reachable.slice(first), ...reachable.slice(0, first),
      ...order.filter(isLast),
    ];
  }

  /** Asks the replicas that weren't asked yet. */
  #widen(round: Round): void {
    const { unasked } = round;
    round.unasked = [];
    round.open += unasked.length;
    for (const id of unasked) this.#ask(round, id, false);
  }

  #ask(round: Round, id: NodeId, wantBody: boolean): void {
    const request: ReadRequest = { kind: 'read', epoch: round.view.layout.epoch, name: this.#name, wantBody };
    const target = { advertise: memberById(round.view.layout, id)?.advertise ?? '', nodeId: id };
    const callMs = Math.max(1, Math.min(this.#context.options.callTimeoutMs, leftMs(this.#context, this.#deadline)));
    void this.#context.caller.call<'read'>(target, request, callMs).then((outcome) => {
      if (round !== this.#round) return;
      const reply = outcome.kind === 'reply' ? outcome.reply : null;
      if (reply?.kind === 'stale-epoch') {
        this.#onStale(round, id, reply, () => { this.#ask(round, id, wantBody); });
        return;
      }
      if (outcome.kind === 'not-sent') round.unsent = [...(round.unsent ?? []), id];
      this.#close(round, id, reply?.kind === 'read-reply' ? reply : null);
    });
  }

  #close(round: Round, id: NodeId, reply: ReadReply | null): void {
    round.open--;
    if (id === round.bodyFrom) {
      round.isBodyOpen = false;
      round.bodyReply = reply;
    }
    if (reply === null) round.tally.fail(id);
    else {
      round.replies.push({ id, accepted: reply.accepted?.ballot ?? ZERO_BALLOT });
      round.tally.add(id, reply.accepted);
    }
    this.#look(round);
  }

  #look(round: Round): void {
    const { tally } = round;
    const { decision } = tally;
    if (decision !== 'settled' && round.unasked.length > 0 && (round.open === 0 || decision === 'split')) {
      this.#widen(round);
      return;
    }
    switch (decision) {
      case 'wait':
        return;
      case 'impossible':
        if (round.unsent !== null) this.#deadline = deadlineWithout(this.#context, round.unsent, round.sets, this.#beginAt, this.#deadline);
        this.#again(round);
        return;
      case 'split':
        if (round.open > 0 && !round.isPressed) this.#grace(round);
        else this.#settleByIdentity(round);
        return;
      case 'settled':
        if (this.#needsBody(tally.highest) && round.isBodyOpen && !round.isPressed) this.#grace(round);
        else {
          this.#tellLagging(round, tally.highest);
          this.#deliver(round, tally.highest, tally.holders);
        }
        return;
      default:
        assertNever(decision);
    }
  }

  /** Replicas that were seen below the value that is chosen: they are told, and copy it themselves. */
  #tellLagging(round: Round, highest: AcceptedValue | null): void {
    if (highest === null) return;
    for (const { id, accepted } of round.replies) {
      if (compareBallots(accepted, highest.ballot) < 0) this.#context.repair.missed(id, this.#name, highest.ballot, 'read');
    }
  }

  #needsBody(value: AcceptedValue | null): boolean {
    return this.#wantBody && value?.record.kind === 'object' && value.record.body.size > 0 && value.record.body.where === 'inline';
  }

  /** After readGraceMs the others are asked; after as long again it acts on what is there. */
  #grace(round: Round): void {
    round.grace ??= this.#context.timers.after(this.#context.options.readGraceMs, () => {
      round.grace = null;
      if (round !== this.#round) return;
      if (round.unasked.length > 0) {
        this.#widen(round);
        this.#grace(round);
        return;
      }
      round.isPressed = true;
      this.#look(round);
    });
  }

  #end(round: Round): void {
    round.grace?.cancel();
    this.#round = null;
  }

  #again(round: Round): void {
    this.#end(round);
    const delayMs = Math.min(backOffMs(this.#context, this.#attempt, 'get'), leftMs(this.#context, this.#deadline));
    this.#context.timers.after(delayMs, () => { this.begin(); });
  }

  #settleByIdentity(round: Round): void {
    this.#end(round);
    this.#identity((end) => {
      this.#context.repair.readRepaired(end.kind === 'settled');
      if (end.kind === 'settled' && end.result.kind === 'unchanged') this.#deliver(round, end.result.current, end.result.holders);
      else this.#again(round);
    });
  }

  /** Answers with a value that is chosen. */
  #deliver(round: Round, value: AcceptedValue | null, holders: readonly NodeId[]): void {
    this.#end(round);
    if (value === null || value.record.kind === 'tombstone') {
      this.#context.retries.succeeded();
      this.#done({ kind: 'absent' });
      return;
    }
    const { record } = value;
    if (!this.#wantBody) {
      this.#found(record, openStored(this.#context, this.#name, record.body, holders));
      return;
    }
    if (record.body.where === 'file') {
      this.#deliverLarge(round, record, holders);
      return;
    }
    const sent = round.bodyReply;
    const isSame = sent?.accepted?.record.kind === 'object' && sent.accepted.record.body.bodyId === record.body.bodyId;
    const bytes = isSame ? sent.body : record.body.size === 0 ? Buffer.alloc(0) : null;
    if (bytes !== null && isBodyOf(record.body, bytes)) {
      this.#foundInline(record, bytes);
      return;
    }
    const { options } = this.#context;
    const others = round.sets.all.filter((id) => !holders.includes(id));
    const callMs = Math.max(1, Math.min(options.callTimeoutMs, leftMs(this.#context, this.#deadline)));
    void fetchBody(bodySource(this.#context), round.view.layout, this.#name, record.body, [...holders, ...others], callMs).then((fetched) => {
      if (fetched !== null) this.#foundInline(record, fetched);
      else this.#again(round);
    });
  }

  /** Answers only with a body that some replica has just now: otherwise its object was replaced, and the record is read again. */
  #deliverLarge(round: Round, record: LiveRecord, holders: readonly NodeId[]): void {
    const callMs = Math.max(1, Math.min(this.#context.options.callTimeoutMs, leftMs(this.#context, this.#deadline)));
    void locateBody(this.#context, this.#name, record, holders, callMs).then((located) => {
      if (located !== null) this.#found(record, openStored(this.#context, this.#name, record.body, located));
      else this.#again(round);
    });
  }

  #found(record: LiveRecord, open: OpenBody): void {
    this.#context.retries.succeeded();
    this.#done({ kind: 'found', record, body: null, open, isStalePossible: false });
  }

  #foundInline(record: LiveRecord, body: Buffer): void {
    this.#context.retries.succeeded();
    this.#done({ kind: 'found', record, body, open: openBytes(body), isStalePossible: false });
  }

  #onStale(round: Round, id: NodeId, reply: StaleEpochReply, askAgain: () => void): void {
    const { layout } = round.view;
    if (round.told?.includes(id) === true) {
      this.#close(round, id, null);
      return;
    }
    round.told = [...(round.told ?? []), id];
    const target = { advertise: memberById(layout, id)?.advertise ?? '', nodeId: id };
    void exchangeLayouts(this.#context, layout.epoch, target, reply).then((outcome) => {
      if (round !== this.#round) return;
      if (outcome === 'moved-on') {
        this.#end(round);
        this.begin();
      } else if (outcome === 'told') askAgain();
      else this.#close(round, id, null);
    });
  }
}
