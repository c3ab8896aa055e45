/**
 * What maintains the copies in a register search: an anti-entropy copy under way, an eraser of tombstones, and for each
 * replica its catch-up of a moving layout. Each is a small value; the steps are taken in register-space.ts.
 */
import { maxBallot, ZERO_BALLOT, type Ballot } from '../../domain/ballot.ts';
import type { Rules } from '../../domain/rules.ts';
import { ErasureTally, viewTombstone } from '../../register/erasure.ts';
import { JointQuorum, type ReplicaSets } from '../../register/joint-quorum.ts';
import type { AcceptedValue } from '../../register/read-decision.ts';
import { ballotLabel, shownText, stateOf, valueText, type AcceptorCell } from './acceptor-cells.ts';
import { Interner } from './interner.ts';
import { indexOf, replicaId } from './register-scope.ts';

export interface CopyCell {
  readonly used: number;
  readonly flying: { readonly layout: number; readonly value: AcceptedValue } | null;
}

export function copyCells(): Interner<CopyCell> {
  return new Interner(({ used, flying }) => `${used} ${flying === null ? '' : `${flying.layout} ${valueText(flying.value)}`}`);
}

/** What one replica showed to somebody. */
export interface Shown {
  readonly replica: number;
  readonly cell: AcceptorCell;
}

export interface EraserCell {
  readonly layout: number;
  /** Of the tombstone; null: the eraser hasn't found one yet. */
  readonly ballot: Ballot | null;
  /** Replicas that hold it alike, as bits. */
  readonly alike: number;
  /** ERASE is under way to every replica. */
  readonly isErasing: boolean;
}

export const NO_ERASURE: EraserCell = { layout: 0, ballot: null, alike: 0, isErasing: false };

export function eraserCells(): Interner<EraserCell> {
  return new Interner(({ layout, ballot, alike, isErasing }) => `${layout} ${ballot === null ? '' : ballotLabel(ballot)} ${alike} ${String(isErasing)}`);
}

/** The eraser after one more replica's answer; null: it gives up (rule R13). */
export function eraserHears(eraser: EraserCell & { readonly ballot: Ballot }, { replica, cell }: Shown, sets: ReplicaSets, rules: Rules): EraserCell | null {
  if (viewTombstone(stateOf(cell), eraser.ballot) === 'differs') return null;
  const alike = eraser.alike | (1 << replica);
  const tally = new ErasureTally(sets, rules);
  let decision = tally.decision;
  sets.old.forEach((id) => { if ((alike & (1 << indexOf(id))) !== 0) decision = tally.add(id, 'alike'); });
  return { ...eraser, alike, isErasing: decision === 'erase' };
}

export interface CatcherCell {
  readonly pages: readonly Shown[];
  readonly isCaught: boolean;
}

export const NOT_CAUGHT: CatcherCell = { pages: [], isCaught: false };

export function catcherCells(): Interner<CatcherCell> {
  return new Interner(({ pages, isCaught }) => `${String(isCaught)} ${pages.map(({ replica, cell }) => `${replica}${shownText(cell)}~${ballotLabel(cell.promised)}`).join(' ')}`);
}

export interface MergedPages {
  readonly value: AcceptedValue | null;
  readonly promised: Ballot;
  readonly floor: Ballot;
}

/** The highest record, promise and floor of a majority of the old replicas; null: the pages aren't one (rule R11). */
export function mergedPages(pages: readonly Shown[], sets: ReplicaSets): MergedPages | null {
  const quorum = new JointQuorum({ old: sets.old, new: sets.old, isMoving: false });
  let value: AcceptedValue | null = null;
  let floor = ZERO_BALLOT;
  let promised = ZERO_BALLOT;
  for (const { replica, cell } of pages) {
    quorum.add(replicaId(replica));
    promised = maxBallot(promised, cell.promised);
    floor = maxBallot(floor, cell.floor);
    const isHigher = cell.accepted !== null && (value === null || maxBallot(cell.accepted.ballot, value.ballot) !== value.ballot);
    if (isHigher) value = cell.accepted;
  }
  return quorum.isMet ? { value, promised, floor } : null;
}

export function byReplica(shown: readonly Shown[]): readonly Shown[] {
  return [...shown].sort((a, b) => a.replica - b.replica);
}

export function renamedShown(shown: readonly Shown[], to: readonly number[]): readonly Shown[] {
  return byReplica(shown.map(({ replica, cell }) => ({ replica: to[replica] ?? replica, cell })));
}

/** A set of replicas as bits. */
export function renamedBits(bits: number, to: readonly number[]): number {
  return to.reduce((renamed, target, replica) => ((bits & (1 << replica)) === 0 ? renamed : renamed | (1 << target)), 0);
}
