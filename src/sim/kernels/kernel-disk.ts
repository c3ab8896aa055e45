/**
 * What a replica of the register kernel keeps on its disk, with a log's crash behaviour: changes apply to the live state
 * at once and become durable in order at the next sync; a crash keeps the durable state and any prefix of the rest.
 */
import { compareBallots, ZERO_BALLOT, type Ballot } from '../../domain/ballot.ts';
import type { BodyId, Epoch, NodeId } from '../../domain/ids.ts';
import type { ObjectRecord } from '../../domain/stored-object.ts';
import type { AcceptorState } from '../../register/acceptor.ts';
import type { ReplicaSets } from '../../register/joint-quorum.ts';
import { bodyIdOf } from '../../register/read-decision.ts';

export interface KernelArc extends ReplicaSets {
  readonly since: ReadonlyMap<NodeId, Epoch>;
}

/** A layout in which every key is an arc of its own. */
export interface KernelLayout {
  readonly epoch: Epoch;
  readonly isMoving: boolean;
  readonly arcs: ReadonlyMap<string, KernelArc>;
}

interface Register {
  promised: Ballot;
  accepted: Ballot;
  record: ObjectRecord | null;
}

/** The state itself; every method is one change. */
export class KernelState {
  layout: KernelLayout;
  readonly registers = new Map<string, Register>();
  readonly floors = new Map<string, Ballot>();
  readonly bodies = new Set<BodyId>();
  readonly caught = new Set<string>();

  constructor(layout: KernelLayout) {
    this.layout = layout;
  }

  copy(): KernelState {
    const copy = new KernelState(this.layout);
    for (const [key, register] of this.registers) copy.registers.set(key, { ...register });
    for (const [key, floor] of this.floors) copy.floors.set(key, floor);
    for (const body of this.bodies) copy.bodies.add(body);
    for (const key of this.caught) copy.caught.add(key);
    return copy;
  }

  acceptor(key: string): AcceptorState {
    const register = this.registers.get(key);
    return { promised: register?.promised ?? ZERO_BALLOT, accepted: register?.accepted ?? ZERO_BALLOT, floor: this.floors.get(key) ?? ZERO_BALLOT };
  }

  record(key: string): ObjectRecord | null {
    return this.registers.get(key)?.record ?? null;
  }

  promise(key: string, ballot: Ballot): void {
    const register = this.registers.get(key);
    if (register === undefined) this.registers.set(key, { promised: ballot, accepted: ZERO_BALLOT, record: null });
    else register.promised = ballot;
  }

  /** The body of the replaced record goes in the same log record (rule R7). */
  accept(key: string, ballot: Ballot, record: ObjectRecord): void {
    const before = bodyIdOf(this.record(key));
    if (before !== null && before !== bodyIdOf(record)) this.bodies.delete(before);
    const promised = this.acceptor(key).promised;
    this.registers.set(key, { promised: compareBallots(promised, ballot) > 0 ? promised : ballot, accepted: ballot, record });
  }

  raiseFloor(key: string, floor: Ballot): void {
    if (compareBallots(floor, this.acceptor(key).floor) > 0) this.floors.set(key, floor);
  }

  erase(key: string, floor: Ballot): void {
    this.registers.delete(key);
    this.raiseFloor(key, floor);
  }

  adopt(layout: KernelLayout, discards: readonly string[]): void {
    for (const key of discards) {
      this.registers.delete(key);
      this.floors.delete(key);
    }
    this.layout = layout;
    this.caught.clear();
  }

  isNamed(body: BodyId): boolean {
    for (const register of this.registers.values()) if (bodyIdOf(register.record) === body) return true;
    return false;
  }
}

interface Pending {
  readonly change: ((state: KernelState) => void) | null;
  readonly done: () => void;
}

export class KernelDisk {
  live: KernelState;
  #durable: KernelState;
  #pending: Pending[] = [];
  #syncing = 0;

  constructor(layout: KernelLayout) {
    this.live = new KernelState(layout);
    this.#durable = new KernelState(layout);
  }

  get durable(): Readonly<KernelState> {
    return this.#durable;
  }

  get isClean(): boolean {
    return this.#pending.length === 0;
  }

  /** Applies the change now; `done` runs once it and all before it are durable. True: the caller has to start a sync. */
  write(change: ((state: KernelState) => void) | null, done: () => void): boolean {
    change?.(this.live);
    this.#pending.push({ change, done });
    return this.#syncing === 0;
  }

  startSync(): void {
    this.#syncing = this.#pending.length;
  }

  /** True: more was written meanwhile, start another sync. */
  finishSync(): boolean {
    const synced = this.#pending.splice(0, this.#syncing);
    this.#syncing = 0;
    for (const { change } of synced) change?.(this.#durable);
    for (const { done } of synced) done();
    return this.#pending.length > 0 && this.#syncing === 0;
  }

  /** `kept`: how many of the changes that weren't durable yet have reached the medium all the same. */
  crash(kept: (unsynced: number) => number): void {
    for (const { change } of this.#pending.slice(0, kept(this.#pending.length + 1))) change?.(this.#durable);
    this.#pending = [];
    this.#syncing = 0;
    this.live = this.#durable.copy();
  }
}
