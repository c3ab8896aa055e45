/**
 * Actors of a register search: clients' operations, carried by the product's own machines (WriteOperation, ReadTally). Such
 * a machine can't be copied, so a cell keeps what it was told, and every step rebuilds the machine and tells it one thing
 * more; the caller remembers the outcome of each (cell, event) pair.
 *
 * Two cells are the same when their future is: what a decided round was told is forgotten, except that an operation with
 * rounds left keeps it, because a retry may ask what it proposed before. What is decided shows in the record that left and
 * in the result that the operation will have, both read off the machine.
 */
import { assert, must } from '../../domain/assert.ts';
import { ZERO_BALLOT, type Ballot } from '../../domain/ballot.ts';
import type { BodyId, NodeId } from '../../domain/ids.ts';
import type { WriteCondition } from '../../domain/object-operation.ts';
import { replicasOf, type ReplicaSets } from '../../register/joint-quorum.ts';
import type { WriteIntent } from '../../register/proposal.ts';
import { ReadTally, type AcceptedValue } from '../../register/read-decision.ts';
import { WriteOperation, type WriteResult, type WriteStep } from '../../register/write-operation.ts';
import type { ModelResult } from '../checkers/object-model.ts';
import { shownText, valueText, type AcceptorCell } from './acceptor-cells.ts';
import { Interner } from './interner.ts';
import { resultText } from './linearizability-monitor.ts';
import { ballotOf, opIdOf, replicaId, tagOf, versionsOf, type ActorPlan, type RegisterScope } from './register-scope.ts';
import { renamedBits } from './upkeep-cells.ts';

const NOBODY: ReadonlySet<NodeId> = new Set();

/** ACCEPT messages under way: they may reach any replica at any later time. */
export interface SentAccept {
  readonly layout: number;
  readonly value: AcceptedValue;
}

type Input =
  | { readonly kind: 'begin'; readonly round: number; readonly layout: number }
  | { readonly kind: 'promise' | 'read'; readonly replica: number; readonly shown: AcceptorCell }
  | { readonly kind: 'accepted'; readonly replica: number };

export interface ActorCell {
  readonly actor: number;
  readonly phase: 'idle' | 'reading' | 'preparing' | 'accepting' | 'done';
  /** Rounds with a ballot begun. */
  readonly round: number;
  readonly layout: number;
  /** Replicas that answered in this phase, as bits, and what they showed. */
  readonly answered: number;
  readonly answers: readonly { readonly replica: number; readonly text: string }[];
  readonly sent: readonly SentAccept[];
  /** A read whose quorum disagrees: it may begin an identity round. */
  readonly isSplit: boolean;
  /** What the operation returns when its ACCEPT has a quorum. */
  readonly expected: string;
  /** What earlier rounds were told; empty when nobody asks any more. */
  readonly past: string;
  readonly inputs: readonly Input[];
}

/** `result`: the operation returns now; `end` without one: it never will (outcome unknown). */
export interface ActorStep {
  readonly cell: ActorCell;
  readonly result: ModelResult | null;
}

export class ActorCells {
  readonly #scope: RegisterScope;
  readonly cells = new Interner<ActorCell>(actorText);

  constructor(scope: RegisterScope) {
    this.#scope = scope;
  }

  plan(cell: ActorCell): ActorPlan {
    return must(this.#scope.actors[cell.actor], 'the plan');
  }

  first(actor: number): ActorCell {
    return {
      actor, phase: 'idle', round: 0, layout: 0, answered: 0, answers: [], sent: [], isSplit: false, expected: '', past: '', inputs: [],
    };
  }

  /** May begin a round with a ballot now: the first, a retry after a time-out, or a split read's identity round. */
  mayBegin(cell: ActorCell): boolean {
    const plan = this.plan(cell);
    if (cell.phase === 'done' || cell.round >= plan.rounds.length) return false;
    return plan.kind === 'get' ? cell.isSplit || cell.round > 0 : true;
  }

  begin(cell: ActorCell, layout: number): ActorCell {
    const past = cell.round === 0 ? '' : `${cell.past}/${cell.answers.map(({ text }) => text).sort().join(',')}${cell.phase}`;
    const input: Input = { kind: 'begin', round: cell.round, layout };
    return { ...cell, phase: 'preparing', round: cell.round + 1, layout, answered: 0, answers: [], isSplit: false, expected: '', past, inputs: [...cell.inputs, input] };
  }

  beginRead(cell: ActorCell, layout: number): ActorCell {
    return { ...cell, phase: 'reading', layout };
  }

  /** A replica promised, and showed its state. */
  promised(cell: ActorCell, replica: number, shown: AcceptorCell): ActorStep {
    const told = this.#told(cell, { kind: 'promise', replica, shown });
    const step = this.#replay(told).last;
    if (step.kind === 'wait') return { cell: told, result: null };
    if (step.kind === 'finished') return this.#ended(told, step.result);
    // A floor is in the way: in a search, whose ballots are fixed, the actor goes no further.
    if (step.kind === 'retry') return { cell: { ...this.first(cell.actor), phase: 'done', sent: cell.sent }, result: null };
    assert(step.kind === 'accept', 'nothing is refused in a search');
    const { record } = step;
    const ballot = this.ballotAt(cell.actor, cell.round - 1, cell.layout);
    const sent = [...cell.sent, { layout: cell.layout, value: { ballot, record } }];
    const accepting = { ...told, phase: 'accepting', sent } as const;
    // The replies that decided the round count in a retry alone.
    const kept = cell.round < this.plan(cell).rounds.length ? told.answers.map(({ text }) => text).sort().join(',') : '';
    const past = kept === '' ? '' : `${cell.past}/${kept}`;
    return { cell: { ...accepting, answered: 0, answers: [], past, expected: this.#expected(told) }, result: null };
  }

  accepted(cell: ActorCell, replica: number): ActorStep {
    const told = this.#told(cell, { kind: 'accepted', replica });
    const step = this.#replay(told).last;
    return step.kind === 'finished' ? this.#ended(told, step.result) : { cell: told, result: null };
  }

  /** A replica answered a one-round read. */
  read(cell: ActorCell, replica: number, shown: AcceptorCell): ActorStep {
    const told = this.#told(cell, { kind: 'read', replica, shown });
    const tally = new ReadTally(this.#sets(cell.layout), this.#scope.rules);
    for (const input of told.inputs) if (input.kind === 'read') tally.add(replicaId(input.replica), input.shown.accepted);
    switch (tally.decision) {
      case 'settled': return { cell: this.#done(told), result: { kind: 'value', tag: tagShown(tally.highest) } };
      case 'split': return { cell: { ...told, isSplit: true }, result: null };
      case 'wait': return { cell: told, result: null };
      case 'impossible': return { cell: told, result: null };
    }
  }

  /** The cell with the replicas renamed: `to[i]` is the new index of replica i. */
  renamed(cell: ActorCell, to: readonly number[]): ActorCell {
    const answers = cell.answers.map(({ replica, text }) => ({ replica: must(to[replica], 'a replica'), text })).sort((a, b) => a.replica - b.replica);
    const inputs = cell.inputs.map((input) => (input.kind === 'begin' ? input : { ...input, replica: must(to[input.replica], 'a replica') }));
    return { ...cell, answered: renamedBits(cell.answered, to), answers, inputs };
  }

  #told(cell: ActorCell, input: Exclude<Input, { readonly kind: 'begin' }>): ActorCell {
    const answer = { replica: input.replica, text: input.kind === 'accepted' ? '' : shownText(input.shown) };
    const answers = [...cell.answers, answer].sort((a, b) => a.replica - b.replica);
    return { ...cell, answered: cell.answered | (1 << input.replica), answers, inputs: [...cell.inputs, input] };
  }

  /** Nothing is left of it but the messages under way. */
  #done(cell: ActorCell): ActorCell {
    return { ...this.first(cell.actor), phase: 'done', sent: cell.sent };
  }

  #ended(cell: ActorCell, result: WriteResult): ActorStep {
    return { cell: this.#done(cell), result: this.#modelResult(cell, result) };
  }

  /** What the operation will answer once its ACCEPT is chosen: tried on a machine that is thrown away. */
  #expected(cell: ActorCell): string {
    const { machine } = this.#replay(cell);
    for (const id of replicasOf(this.#sets(cell.layout))) {
      const step = machine.onAcceptReply(id, 'accepted', ZERO_BALLOT);
      if (step.kind !== 'finished') continue;
      const result = this.#modelResult(cell, step.result);
      return result === null ? 'unknown' : resultText(result);
    }
    return 'unknown';
  }

  #replay(cell: ActorCell): { readonly machine: WriteOperation; readonly last: WriteStep } {
    const machine = new WriteOperation(this.#intent(cell), this.#scope.rules);
    let last: WriteStep = { kind: 'wait' };
    for (const input of cell.inputs) {
      switch (input.kind) {
        case 'begin':
          machine.begin(this.ballotAt(cell.actor, input.round, input.layout), this.#sets(input.layout), NOBODY);
          break;
        case 'promise': {
          const { promised, accepted, floor } = input.shown;
          last = machine.onPrepareReply(replicaId(input.replica), { state: 'promised', promised, accepted, floor, isStaged: true });
          break;
        }
        case 'accepted':
          last = machine.onAcceptReply(replicaId(input.replica), 'accepted', ZERO_BALLOT);
          break;
        case 'read':
          break;
      }
    }
    return { machine, last };
  }

  ballotAt(actor: number, round: number, layout: number): Ballot {
    return ballotOf(this.#scope, must(this.#scope.actors[actor]?.rounds[round], 'the round'), layout);
  }

  #sets(layout: number): ReplicaSets {
    return must(this.#scope.layouts[layout], 'the layout');
  }

  #intent({ actor }: ActorCell): WriteIntent {
    const { kind, condition: planned } = must(this.#scope.actors[actor], 'the plan');
    if (kind === 'get') return { kind: 'identity' };
    const condition: WriteCondition = planned === 'none' || planned === 'absent' ? { kind: planned } : { kind: 'version', versions: versionsOf(this.#scope, planned) };
    const opId = opIdOf(actor);
    if (kind === 'delete') return { kind: 'delete', opId, condition };
    const body = { bodyId: tagOf(actor) as BodyId, size: 1, sha256: tagOf(actor), where: 'inline', chunkCrcs: [] } as const;
    return { kind: 'put', opId, condition, body, contentType: '', meta: [] };
  }

  /** Null: unknown. */
  #modelResult({ actor }: ActorCell, result: WriteResult): ModelResult | null {
    const isGet = this.#scope.actors[actor]?.kind === 'get';
    switch (result.kind) {
      case 'applied':
        return result.op.kind === 'deleted' ? { kind: 'deleted', wasPresent: true } : { kind: 'stored', isCreated: result.op.kind === 'created' };
      case 'unchanged':
        return isGet ? { kind: 'value', tag: tagShown(result.current) } : { kind: 'deleted', wasPresent: false };
      case 'precondition-failed':
        return { kind: 'precondition-failed' };
      case 'unknown':
        return null;
    }
  }
}

/** What a client sees of it. */
export function tagShown(value: AcceptedValue | null): string | null {
  return value?.record.kind === 'object' ? value.record.body.sha256 : null;
}

function actorText(cell: ActorCell): string {
  const answers = cell.answers.map(({ replica, text }) => `${replica}${text}`).join(' ');
  const sent = cell.sent.map(({ layout, value }) => `${layout}${valueText(value)}`).join(' ');
  return `${cell.actor}${cell.phase}${cell.round}.${cell.layout}|${answers}|${sent}|${cell.isSplit ? 'split' : ''}${cell.expected}|${cell.past}`;
}
