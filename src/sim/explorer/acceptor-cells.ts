/**
 * Replicas of a register search: the state of one key at one replica as an interned cell, and its steps, decided by
 * register/acceptor.ts and register/take.ts. Every step is durable at once (what a crash does to unsynced state is the
 * register kernel's business), and bodies are always at hand.
 *
 * Asserted at each step: promised and accepted never decrease, but by an erasure, which raises the floor to the erased
 * ballot, and by a discard at the adoption of a layout (I8).
 */
import { assert } from '../../domain/assert.ts';
import { compareBallots, maxBallot, ZERO_BALLOT, type Ballot } from '../../domain/ballot.ts';
import type { Epoch } from '../../domain/ids.ts';
import type { Rules } from '../../domain/rules.ts';
import { decideAccept, decidePrepare, type AcceptorState } from '../../register/acceptor.ts';
import { decideErase } from '../../register/erasure.ts';
import type { AcceptedValue } from '../../register/read-decision.ts';
import { decideCatchUp, decideRepair } from '../../register/take.ts';
import { Interner } from './interner.ts';
import type { MergedPages } from './upkeep-cells.ts';

export interface AcceptorCell {
  /** Index of the layout that the replica is in. */
  readonly layout: number;
  readonly promised: Ballot;
  readonly accepted: AcceptedValue | null;
  readonly floor: Ballot;
}

export class AcceptorCells {
  readonly #rules: Rules;
  readonly cells = new Interner<AcceptorCell>(cellText);

  constructor(rules: Rules) {
    this.#rules = rules;
  }

  /** The number of the cell; -1 for none. */
  idOrNone(cell: AcceptorCell | null): number {
    return cell === null ? -1 : this.cells.id(cell);
  }

  /** The cell after the promise; null: refused. */
  prepare(cell: AcceptorCell, ballot: Ballot): AcceptorCell | null {
    return decidePrepare(stateOf(cell), ballot, this.#rules) === 'promise' ? grown(cell, { ...cell, promised: ballot }) : null;
  }

  /** The cell after the acceptance, the same cell when it was accepted before; null: refused. */
  accept(cell: AcceptorCell, value: AcceptedValue): AcceptorCell | null {
    switch (decideAccept(stateOf(cell), value.ballot, true, this.#rules)) {
      case 'accept': return grown(cell, { ...cell, promised: value.ballot, accepted: value });
      case 'repeat': return cell;
      case 'refuse': return null;
      case 'fetch-body': return null;
    }
  }

  /** A record copied from one other replica: below the floor of an absent key it stays away (rule R12). */
  takeCopy(cell: AcceptorCell, value: AcceptedValue): AcceptorCell | null {
    return decideRepair(stateOf(cell), value.ballot, value.record.kind, this.#rules).kind === 'take' ? taken(cell, value) : null;
  }

  /** After catch-up of this key in a moving layout of that epoch, whatever the floor (rule R11); null: an identity round has to come first. */
  merge(cell: AcceptorCell, { value, promised, floor }: MergedPages, epoch: Epoch): AcceptorCell | null {
    const decision = decideCatchUp(stateOf(cell), { promised, accepted: value?.ballot ?? ZERO_BALLOT }, epoch, this.#rules);
    if (decision.kind === 'choose-again') return null;
    const merged = decision.kind === 'take' && value !== null ? taken(cell, value) : decision.kind === 'promise' ? grown(cell, { ...cell, promised: decision.ballot }) : cell;
    return { ...merged, floor: maxBallot(merged.floor, floor) };
  }

  /** The cell after it was told to erase the tombstone at this ballot; null: it keeps what it has (rule R13). */
  erase(cell: AcceptorCell, ballot: Ballot): AcceptorCell | null {
    if (cell.accepted === null || (this.#rules.eraseChecksAgain && decideErase(stateOf(cell), ballot) === 'keep')) return null;
    return { ...cell, promised: ZERO_BALLOT, accepted: null, floor: this.#rules.eraseRaisesFloor ? maxBallot(cell.floor, ballot) : cell.floor };
  }

  adopt(cell: AcceptorCell, layout: number, isDiscarding: boolean): AcceptorCell {
    return isDiscarding ? { layout, promised: ZERO_BALLOT, accepted: null, floor: ZERO_BALLOT } : { ...cell, layout };
  }
}

function taken(cell: AcceptorCell, value: AcceptedValue): AcceptorCell {
  return grown(cell, { ...cell, promised: maxBallot(cell.promised, value.ballot), accepted: value });
}

export function stateOf(cell: AcceptorCell): AcceptorState {
  return { promised: cell.promised, accepted: cell.accepted?.ballot ?? ZERO_BALLOT, floor: cell.floor };
}

function grown(before: AcceptorCell, after: AcceptorCell): AcceptorCell {
  assert(compareBallots(after.promised, before.promised) >= 0, 'I8: a promise never decreases');
  assert(compareBallots(after.accepted?.ballot ?? ZERO_BALLOT, before.accepted?.ballot ?? ZERO_BALLOT) >= 0, 'I8: an accepted ballot never decreases');
  return after;
}

/** Short and unique within a scope, where all records of one ballot are alike but for re-acceptance. */
export function ballotLabel(ballot: Ballot): string {
  return compareBallots(ballot, ZERO_BALLOT) === 0 ? '-' : `${ballot.epoch}.${ballot.hlc}${ballot.nodeId.charAt(0)}`;
}

/** All that distinguishes records within a scope. */
export function valueText(value: AcceptedValue | null): string {
  if (value === null) return '-';
  const { record } = value;
  const what = record.kind === 'object' ? record.body.sha256 : 'tombstone';
  const ops = record.ops.map((op) => `${op.opId}${op.kind.charAt(0)}${ballotLabel(op.version)}`).join(',');
  return `${what}=${ballotLabel(record.version)}@${ballotLabel(value.ballot)}[${ops}]${ballotLabel(record.lineageFloor)}`;
}

/** What a reply shows: everything but the promise. */
export function shownText({ accepted, floor }: AcceptorCell): string {
  return `${valueText(accepted)}^${ballotLabel(floor)}`;
}

export function cellText(cell: AcceptorCell): string {
  return `${cell.layout} ${ballotLabel(cell.promised)} ${shownText(cell)}`;
}
