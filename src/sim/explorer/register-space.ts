/**
 * State space of a register search: one key, its replicas, clients' operations, an anti-entropy copy, an eraser, and the
 * layouts of a move, in every order of events.
 *
 * The network loses by not delivering, delays and reorders freely. A request and its answer are one action: to receive an
 * answer changes only the asker, so it may as well happen at once; what is slower is covered, because another answer could
 * have come first, and what is lost is covered by never happening. Only ACCEPT also happens with its answer lost, for
 * operations that may retry. A coordinator that crashes is one that does nothing any more; what it sent stays under way.
 *
 * In each state it is also asked what a fresh read would return through each possible quorum; so lost and resurrected
 * values (I17) show without a reader in the state. Checked besides: I9 (one value a ballot), I8 (acceptor-cells.ts),
 * linearizability with conditions (I7, I13).
 */
import { must } from '../../domain/assert.ts';
import { compareBallots, equalBallots, ZERO_BALLOT } from '../../domain/ballot.ts';
import { JointQuorum, majorityOf, replicasOf, votingSets } from '../../register/joint-quorum.ts';
import type { AcceptedValue } from '../../register/read-decision.ts';
import type { ModelOp } from '../checkers/object-model.ts';
import { AcceptorCells, ballotLabel, shownText, valueText, type AcceptorCell } from './acceptor-cells.ts';
import { ActorCells, tagShown, type ActorCell, type ActorStep } from './actor-cells.ts';
import { Memo } from './interner.ts';
import { LinearizabilityMonitor, resultText, VIOLATED } from './linearizability-monitor.ts';
import { FIRST_BALLOT, FIRST_TAG, indexOf, initialRecord, replicaId, tagOf, type PlannedLayout, type RegisterScope } from './register-scope.ts';
import type { StateSpace } from './search.ts';
import { symmetries } from './symmetry.ts';
import {
  byReplica, catcherCells, copyCells, eraserCells, eraserHears, mergedPages, NO_ERASURE, NOT_CAUGHT, renamedBits, renamedShown, type CatcherCell,
} from './upkeep-cells.ts';

type Visit = (next: string, action: () => string) => void;

/** A state unpacked: numbers of interned cells. Replicas, then actors, then catch-ups, then the rest. */
type Packed = number[];

/** Instead of a cell's number: refused. */
const NONE = -1;

export class RegisterSpace implements StateSpace {
  readonly #scope: RegisterScope;
  readonly #acceptors: AcceptorCells;
  readonly #actors: ActorCells;
  readonly #copies = copyCells();
  readonly #erasers = eraserCells();
  readonly #catchers = catcherCells();
  readonly #monitor: LinearizabilityMonitor;
  readonly #renamings: readonly (readonly number[])[];
  /** The inverse of each: whose cell comes to a place. */
  readonly #sources: readonly (readonly number[])[];
  readonly #renamedActors: readonly Memo<number>[];
  readonly #renamedOthers: readonly Memo<number>[];
  readonly #steps = new Memo<{ readonly cell: number; readonly step: ActorStep }>();
  readonly #begun = new Memo<number>();
  readonly #prepared = new Memo<number>();
  readonly #accepted = new Memo<number>();
  /** Of each layout, by index. */
  readonly #members: readonly (readonly number[])[];
  readonly #quorums: readonly (readonly (readonly number[])[])[];
  readonly #at: { readonly actor: number; readonly catcher: number; readonly copy: number; readonly eraser: number; readonly layout: number; readonly monitor: number };
  readonly initial: string;

  constructor(scope: RegisterScope) {
    this.#scope = scope;
    this.#acceptors = new AcceptorCells(scope.rules);
    this.#actors = new ActorCells(scope);
    this.#monitor = new LinearizabilityMonitor(modelOps(scope), scope.initial === 'value' ? FIRST_TAG : null);
    this.#renamings = symmetries(scope);
    this.#sources = this.#renamings.map((to) => to.map((_, place) => to.indexOf(place)));
    this.#renamedActors = this.#renamings.map(() => new Memo());
    this.#renamedOthers = this.#renamings.map(() => new Memo());
    this.#members = scope.layouts.map((layout) => replicasOf(layout).map(indexOf));
    this.#quorums = scope.layouts.map((layout) => quorumsOf(layout, scope));
    const { replicas, actors } = scope;
    const catcher = replicas + actors.length;
    const copy = catcher + (scope.layouts.length > 1 ? replicas : 0);
    this.#at = { actor: replicas, catcher, copy, eraser: copy + 1, layout: copy + 2, monitor: copy + 3 };
    this.initial = this.#pack(this.#first());
  }

  #first(): Packed {
    const { replicas, layouts, initial, leftovers, actors } = this.#scope;
    const members = must(layouts[0], 'a layout').old;
    const state: Packed = [];
    for (let i = 0; i < replicas; i++) {
      const id = replicaId(i);
      const isOld = leftovers.includes(id);
      const isEmpty = initial === 'absent' || initial === 'erased' || !members.includes(id);
      const record = isOld ? initialRecord('object', true) : isEmpty ? null : initialRecord(initial === 'value' ? 'object' : 'tombstone', false);
      const accepted = record === null ? null : { ballot: record.version, record };
      const floor = initial === 'erased' && members.includes(id) ? FIRST_BALLOT : ZERO_BALLOT;
      state.push(this.#acceptors.cells.id({ layout: 0, promised: accepted?.ballot ?? ZERO_BALLOT, accepted, floor }));
    }
    actors.forEach((_plan, actor) => state.push(this.#actors.cells.id(this.#actors.first(actor))));
    if (layouts.length > 1) for (let i = 0; i < replicas; i++) state.push(this.#catchers.id(NOT_CAUGHT));
    state.push(this.#copies.id({ used: 0, flying: null }), this.#erasers.id(NO_ERASURE), 0, this.#monitor.initial);
    return state;
  }

  // ------------------------------------------------------------------------------------------------------- actions

  successors(packed: string, visit: Visit): void {
    const state = this.#unpack(packed);
    this.#actorActions(state, visit);
    if (this.#scope.copies > 0) this.#copyActions(state, visit);
    if (this.#scope.hasEraser) this.#eraserActions(state, visit);
    if (this.#scope.layouts.length > 1) this.#layoutActions(state, visit);
  }

  #actorActions(state: Packed, visit: Visit): void {
    const decided = state[this.#at.layout] as number;
    for (let actor = 0; actor < this.#scope.actors.length; actor++) {
      const id = state[this.#at.actor + actor] as number;
      const cell = this.#actors.cells.value(id);
      const isNew = cell.phase === 'idle';
      const after = isNew ? this.#invoked(state, actor) : state;
      if (this.#actors.mayBegin(cell)) {
        for (let layout = cell.layout; layout <= decided; layout++) {
          this.#prepareEverywhere(after, this.#begun.get(id, layout, () => this.#actors.cells.id(this.#actors.begin(cell, layout))), visit);
        }
      }
      if (isNew && this.#actors.plan(cell).kind === 'get') {
        for (let layout = 0; layout <= decided; layout++) {
          this.#readEverywhere(after, this.#begun.get(id, 16 + layout, () => this.#actors.cells.id(this.#actors.beginRead(cell, layout))), visit);
        }
      }
      if (cell.phase === 'preparing') this.#prepareEverywhere(state, id, visit);
      if (cell.phase === 'reading') this.#readEverywhere(state, id, visit);
      if (cell.sent.length > 0) this.#acceptEverywhere(state, id, cell, visit);
    }
  }

  #invoked(state: Packed, actor: number): Packed {
    const { monitor } = this.#at;
    return state.with(monitor, this.#monitor.invoke(state[monitor] as number, actor));
  }

  /** Replicas of this layout that answer its messages. */
  #reachable(state: Packed, layout: number, run: (replica: number, id: number) => void): void {
    for (const replica of this.#members[layout] as readonly number[]) {
      const id = state[replica] as number;
      if (!this.#scope.rules.epochFence || this.#acceptors.cells.value(id).layout === layout) run(replica, id);
    }
  }

  #prepareEverywhere(state: Packed, id: number, visit: Visit): void {
    const cell = this.#actors.cells.value(id);
    this.#reachable(state, cell.layout, (replica, acceptor) => {
      if ((cell.answered & (1 << replica)) !== 0) return;
      const shown = this.#prepared.get(id, acceptor, () => {
        const ballot = this.#actors.ballotAt(cell.actor, cell.round - 1, cell.layout);
        return this.#acceptors.idOrNone(this.#acceptors.prepare(this.#acceptors.cells.value(acceptor), ballot));
      });
      if (shown === NONE) return;
      const { cell: next, step } = this.#step('promise', id, replica, shown);
      const after = this.#withActor(state, cell.actor, next, step);
      after[replica] = shown;
      visit(this.#pack(after), () => {
        const ballot = ballotLabel(this.#actors.ballotAt(cell.actor, cell.round - 1, cell.layout));
        return `PREPARE ${ballot} of ${this.#name(cell.actor)} reaches ${letter(replica)}, which shows ${this.#shown(shown)}${this.#ends(step)}`;
      });
    });
  }

  #readEverywhere(state: Packed, id: number, visit: Visit): void {
    const cell = this.#actors.cells.value(id);
    this.#reachable(state, cell.layout, (replica, acceptor) => {
      if ((cell.answered & (1 << replica)) !== 0) return;
      const { cell: next, step } = this.#step('read', id, replica, acceptor);
      visit(this.#pack(this.#withActor(state, cell.actor, next, step)), () => `READ of ${this.#name(cell.actor)} at ${letter(replica)} sees ${this.#shown(acceptor)}${this.#ends(step)}`);
    });
  }

  #acceptEverywhere(state: Packed, id: number, cell: ActorCell, visit: Visit): void {
    const mayRetry = cell.round < this.#actors.plan(cell).rounds.length;
    cell.sent.forEach(({ layout, value }, index) => {
      const isCurrent = cell.phase === 'accepting' && index === cell.sent.length - 1;
      this.#reachable(state, layout, (replica, acceptor) => {
        const isCounted = isCurrent && (cell.answered & (1 << replica)) === 0;
        const accepted = this.#accepted.get(id * 4 + index, acceptor, () => this.#acceptors.idOrNone(this.#acceptors.accept(this.#acceptors.cells.value(acceptor), value)));
        if (accepted === NONE || (accepted === acceptor && !isCounted)) return;
        const after = state.with(replica, accepted);
        const label = (): string => `ACCEPT ${valueText(value)} of ${this.#name(cell.actor)} reaches ${letter(replica)}`;
        if (isCounted) {
          const { cell: next, step } = this.#step('accepted', id, replica, 0);
          visit(this.#pack(this.#withActor(after, cell.actor, next, step)), () => `${label()}${this.#ends(step)}`);
        }
        if ((!isCounted || mayRetry) && accepted !== acceptor) visit(this.#pack(after), () => `${label()}${isCurrent ? ', the answer is lost' : ''}`);
      });
    });
  }

  #step(kind: 'promise' | 'read' | 'accepted', id: number, replica: number, shown: number): { readonly cell: number; readonly step: ActorStep } {
    const event = (kind === 'promise' ? 0 : kind === 'read' ? 1 : 2) * 8 + replica;
    return this.#steps.get(id * 32 + event, shown, () => {
      const cell = this.#actors.cells.value(id);
      const acceptor = this.#acceptors.cells.value(shown);
      const step = kind === 'promise' ? this.#actors.promised(cell, replica, acceptor)
        : kind === 'read' ? this.#actors.read(cell, replica, acceptor) : this.#actors.accepted(cell, replica);
      return { cell: this.#actors.cells.id(step.cell), step };
    });
  }

  #withActor(state: Packed, actor: number, cell: number, step: ActorStep): Packed {
    const after = [...state];
    after[this.#at.actor + actor] = cell;
    if (step.result !== null) after[this.#at.monitor] = this.#monitor.return(after[this.#at.monitor] as number, actor, step.result);
    return after;
  }

  #copyActions(state: Packed, visit: Visit): void {
    const { used, flying } = this.#copies.value(state[this.#at.copy] as number);
    for (let replica = 0; replica < this.#scope.replicas; replica++) {
      const cell = this.#acceptors.cells.value(state[replica] as number);
      if (flying !== null) {
        if (cell.layout !== flying.layout && this.#scope.rules.epochFence) continue;
        const next = this.#acceptors.takeCopy(cell, flying.value);
        if (next === null) continue;
        const after = state.with(this.#at.copy, this.#copies.id({ used, flying: null }));
        after[replica] = this.#acceptors.cells.id(next);
        visit(this.#pack(after), () => `the copy of ${valueText(flying.value)} is taken by ${letter(replica)}`);
      } else if (used < this.#scope.copies && cell.accepted !== null) {
        const value = cell.accepted;
        const copy = this.#copies.id({ used: used + 1, flying: { layout: cell.layout, value } });
        visit(this.#pack(state.with(this.#at.copy, copy)), () => `anti-entropy reads ${valueText(value)} at ${letter(replica)}`);
      }
    }
  }

  #eraserActions(state: Packed, visit: Visit): void {
    const eraser = this.#erasers.value(state[this.#at.eraser] as number);
    const { rules, layouts } = this.#scope;
    const { ballot } = eraser;
    if (ballot !== null && eraser.isErasing) {
      this.#reachable(state, eraser.layout, (replica, id) => {
        const erased = this.#acceptors.erase(this.#acceptors.cells.value(id), ballot);
        if (erased !== null) visit(this.#pack(state.with(replica, this.#acceptors.cells.id(erased))), () => `ERASE ${ballotLabel(ballot)} reaches ${letter(replica)}`);
      });
      return;
    }
    for (let layout = 0; layout <= (state[this.#at.layout] as number); layout++) {
      const sets = must(layouts[layout], 'the layout');
      if (sets.isMoving || (ballot !== null && layout !== eraser.layout)) continue;
      this.#reachable(state, layout, (replica, id) => {
        const cell = this.#acceptors.cells.value(id);
        const sought = ballot ?? (cell.accepted?.record.kind === 'tombstone' ? cell.accepted.ballot : null);
        if (sought === null || (eraser.alike & (1 << replica)) !== 0) return;
        const next = eraserHears({ ...eraser, layout, ballot: sought }, { replica, cell }, sets, rules);
        if (next === null) return;
        const after = state.with(this.#at.eraser, this.#erasers.id(next));
        visit(this.#pack(after), () => `the eraser of ${ballotLabel(sought)} sees ${shownText(cell)} at ${letter(replica)}${next.isErasing ? ' and sends ERASE' : ''}`);
      });
    }
  }

  #layoutActions(state: Packed, visit: Visit): void {
    const { layouts, replicas, rules } = this.#scope;
    const decided = state[this.#at.layout] as number;
    const newest = must(layouts[decided], 'the layout');
    if (decided + 1 < layouts.length && (!newest.isMoving || this.#isCaughtUp(state, decided, newest))) {
      visit(this.#pack(state.with(this.#at.layout, decided + 1)), () => `layout ${decided + 2} is decided`);
    }
    for (let replica = 0; replica < replicas; replica++) {
      const cell = this.#acceptors.cells.value(state[replica] as number);
      for (let layout = cell.layout + 1; layout <= decided; layout++) {
        const away = layouts.slice(cell.layout + 1, layout + 1).some(({ joiners }) => joiners.includes(replicaId(replica)));
        const adopted = this.#acceptors.adopt(cell, layout, away && rules.sinceDiscard);
        const after = state.with(replica, this.#acceptors.cells.id(adopted));
        after[this.#at.catcher + replica] = this.#catchers.id(NOT_CAUGHT);
        visit(this.#pack(after), () => `${letter(replica)} adopts layout ${layout + 1}`);
      }
      this.#catchUp(state, replica, cell, visit);
    }
  }

  #isCaughtUp(state: Packed, decided: number, sets: PlannedLayout): boolean {
    const caught = sets.new.filter((id) => {
      const replica = indexOf(id);
      if (this.#acceptors.cells.value(state[replica] as number).layout !== decided) return false;
      if (!this.#scope.rules.retainedCatchUp && sets.old.includes(id)) return true;
      return this.#catchers.value(state[this.#at.catcher + replica] as number).isCaught;
    });
    return caught.length >= majorityOf(sets.new.length);
  }

  #catchUp(state: Packed, replica: number, cell: AcceptorCell, visit: Visit): void {
    const sets = must(this.#scope.layouts[cell.layout], 'the layout');
    if (!sets.isMoving || !sets.new.includes(replicaId(replica))) return;
    const catcher = this.#catchers.value(state[this.#at.catcher + replica] as number);
    if (catcher.isCaught) return;
    const own = sets.old.includes(replicaId(replica)) ? [{ replica, cell }] : [];
    const put = (next: CatcherCell, acceptor: AcceptorCell): string => {
      const after = state.with(this.#at.catcher + replica, this.#catchers.id(next));
      after[replica] = this.#acceptors.cells.id(acceptor);
      return this.#pack(after);
    };
    for (const id of sets.old) {
      const source = indexOf(id);
      const shown = this.#acceptors.cells.value(state[source] as number);
      const isKnown = source === replica || catcher.pages.some((page) => page.replica === source);
      if (isKnown || (shown.layout !== cell.layout && this.#scope.rules.epochFence)) continue;
      const pages = byReplica([...catcher.pages, { replica: source, cell: shown }]);
      const merged = mergedPages([...pages, ...own], sets);
      const label = `${letter(replica)} pulls ${shownText(shown)} from ${letter(source)}`;
      if (merged === null) {
        visit(put({ pages, isCaught: false }, cell), () => label);
        continue;
      }
      const after = this.#acceptors.merge(cell, merged, cell.layout + 1);
      if (after !== null) visit(put({ pages: [], isCaught: true }, after), () => `${label} and has caught up: ${shownText(after)}`);
    }
  }

  // -------------------------------------------------------------------------------------------------------- checks

  violation(packed: string): string | null {
    const state = this.#unpack(packed);
    const monitor = state[this.#at.monitor] as number;
    if (monitor === VIOLATED) return 'no order of the operations explains what they returned';
    const cells = state.slice(0, this.#scope.replicas).map((id) => this.#acceptors.cells.value(id));
    const two = this.#twoValues(cells);
    if (two !== null) return `I9: two values at one ballot, ${two}`;
    for (let layout = 0; layout < this.#scope.layouts.length; layout++) {
      for (const quorum of this.#quorums[layout] ?? []) {
        let highest: AcceptedValue | null = null;
        let isPresent = true;
        for (const replica of quorum) {
          const cell = cells[replica] as AcceptorCell;
          if (cell.layout !== layout) isPresent = false;
          if (cell.accepted !== null && (highest === null || compareBallots(cell.accepted.ballot, highest.ballot) > 0)) highest = cell.accepted;
        }
        if (!isPresent || this.#monitor.mayRead(monitor, tagShown(highest))) continue;
        return `a read through ${quorum.map(letter).join(' and ')} would return ${tagShown(highest) ?? 'nothing'}, which no order of the operations explains`;
      }
    }
    return null;
  }

  #twoValues(cells: readonly AcceptorCell[]): string | null {
    for (let i = 0; i < cells.length; i++) {
      const a = cells[i]?.accepted ?? null;
      for (let j = 0; a !== null && j < i; j++) {
        const b = cells[j]?.accepted ?? null;
        if (b !== null && a.record !== b.record && equalBallots(a.ballot, b.ballot) && valueText(a) !== valueText(b)) return `${valueText(a)} and ${valueText(b)}`;
      }
    }
    return null;
  }

  // ------------------------------------------------------------------------------------------------------- packing

  /** The least of the strings that renaming the replicas gives. */
  canonical(packed: string): string {
    let best = packed;
    let state: Packed | null = null;
    for (let r = 1; r < this.#renamings.length; r++) {
      if (!this.#mayBeLess(packed, this.#sources[r] as readonly number[], best)) continue;
      state ??= this.#unpack(packed);
      const renamed = this.#renamed(state, this.#renamings[r] as readonly number[], r);
      if (renamed < best) best = renamed;
    }
    return best;
  }

  /** Whether the renamed replicas' cells, the first characters, aren't above those of `best`. */
  #mayBeLess(packed: string, from: readonly number[], best: string): boolean {
    for (let i = 0; i < from.length; i++) {
      const order = packed.charCodeAt(from[i] as number) - best.charCodeAt(i);
      if (order !== 0) return order < 0;
    }
    return true;
  }

  #renamed(state: Packed, to: readonly number[], r: number): string {
    const after = [...state];
    const { replicas } = this.#scope;
    for (let i = 0; i < replicas; i++) after[to[i] as number] = state[i] as number;
    for (let i = this.#at.actor; i < this.#at.catcher; i++) {
      const id = state[i] as number;
      after[i] = (this.#renamedActors[r] as Memo<number>).get(id, 0, () => this.#actors.cells.id(this.#actors.renamed(this.#actors.cells.value(id), to)));
    }
    const others = this.#renamedOthers[r] as Memo<number>;
    if (this.#at.copy > this.#at.catcher) {
      for (let i = 0; i < replicas; i++) {
        const id = state[this.#at.catcher + i] as number;
        after[this.#at.catcher + (to[i] as number)] = others.get(id, 0, () => {
          const { pages, isCaught } = this.#catchers.value(id);
          return this.#catchers.id({ pages: renamedShown(pages, to), isCaught });
        });
      }
    }
    const eraser = state[this.#at.eraser] as number;
    after[this.#at.eraser] = others.get(eraser, 1, () => {
      const cell = this.#erasers.value(eraser);
      return this.#erasers.id({ ...cell, alike: renamedBits(cell.alike, to) });
    });
    return this.#pack(after);
  }

  #pack(state: Packed): string {
    const monitor = state[this.#at.monitor] as number;
    state[this.#at.monitor] = monitor & 0xffff;
    const packed = String.fromCharCode(...state, monitor >>> 16);
    state[this.#at.monitor] = monitor;
    return packed;
  }

  #unpack(packed: string): Packed {
    const state: Packed = [];
    for (let i = 0; i <= this.#at.monitor; i++) state.push(packed.charCodeAt(i));
    state[this.#at.monitor] = (state[this.#at.monitor] as number) + packed.charCodeAt(this.#at.monitor + 1) * 0x1_0000;
    return state;
  }

  #name(actor: number): string {
    const plan = must(this.#scope.actors[actor], 'the plan');
    const { condition: on } = plan;
    const condition = on === 'none' ? '' : on === 'absent' ? ' if absent' : ` if it is ${on === 'first' ? FIRST_TAG : tagOf(on)}`;
    return `${plan.kind} ${plan.kind === 'put' ? tagOf(actor) : `#${actor}`}${condition}`;
  }

  #shown(acceptor: number): string {
    return shownText(this.#acceptors.cells.value(acceptor));
  }

  #ends({ cell, result }: ActorStep): string {
    if (result !== null) return `; the operation returns ${resultText(result)}`;
    return cell.phase === 'done' ? '; its outcome is unknown' : '';
  }
}

function letter(replica: number): string {
  return 'ABCDEF'.charAt(replica);
}

/** Sets of replicas that are a quorum and none of whose parts is. */
function quorumsOf(layout: PlannedLayout, scope: RegisterScope): readonly (readonly number[])[] {
  const found: number[][] = [];
  for (let bits = 1; bits < 1 << scope.replicas; bits++) {
    const replicas = Array.from({ length: scope.replicas }, (_, i) => i).filter((i) => (bits & (1 << i)) !== 0);
    const quorum = new JointQuorum(votingSets(layout, scope.rules));
    for (const replica of replicas) quorum.add(replicaId(replica));
    if (quorum.isMet) found.push(replicas);
  }
  return found.filter((quorum) => !found.some((other) => other.length < quorum.length && other.every((replica) => quorum.includes(replica))));
}

function modelOps(scope: RegisterScope): readonly ModelOp[] {
  return scope.actors.map((plan, actor): ModelOp => {
    if (plan.kind === 'get') return { kind: 'get' };
    const condition = plan.condition === 'none' || plan.condition === 'absent' ? { kind: plan.condition }
      : { kind: 'tag', tag: plan.condition === 'first' ? FIRST_TAG : tagOf(plan.condition) } as const;
    return plan.kind === 'put' ? { kind: 'put', tag: tagOf(actor), condition } : { kind: 'delete', condition };
  });
}
