/**
 * The world of the register kernel: seeded chance, virtual time, a network that loses, repeats, delays and cuts, and
 * nodes that crash, lose their disks and have wrong clocks. Each seed enables a random subset of the faults at random
 * rates: with everything always on, some dropped rules survived tens of thousands of seeds.
 */
import { assert, must } from '../../domain/assert.ts';
import type { NodeId } from '../../domain/ids.ts';
import type { Rules } from '../../domain/rules.ts';
import { HybridClock } from '../../register/hybrid-clock.ts';
import { KernelDisk, type KernelLayout, type KernelState } from './kernel-disk.ts';

/** Mulberry32: small, seeded, good enough to choose faults. */
export class KernelRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed ^ 0x9e3779b9) >>> 0;
  }

  float(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  below(bound: number): number {
    return Math.floor(this.float() * bound);
  }

  chance(probability: number): boolean {
    return this.float() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return must(items[this.below(items.length)], 'item to pick');
  }
}

export interface FaultRates {
  readonly loss: number;
  readonly repeat: number;
  readonly delayMax: number;
  readonly crash: number;
  readonly wipe: number;
  readonly cut: number;
  readonly expiry: number;
  readonly skewMax: number;
  readonly move: number;
  readonly syncMax: number;
}

export interface KernelNode {
  readonly index: number;
  id: NodeId;
  /** Counts lives: what an earlier life asked for is of no use to the next. */
  boot: number;
  isUp: boolean;
  disk: KernelDisk;
  clock: HybridClock;
  skew: number;
}

/** Whole milliseconds that the wheel of events spans, a power of two: every delay is shorter. */
const SPAN = 2048;

/** In the list of its instant. */
interface Event {
  readonly run: () => void;
  next: Event | null;
}

export class KernelWorld {
  readonly random: KernelRandom;
  readonly nodes: KernelNode[] = [];
  readonly counts = { operations: 0, unknown: 0, crashes: 0, wipes: 0, moves: 0, erasures: 0, messages: 0, bodyFetches: 0 };
  readonly #rules: Rules;
  rates: FaultRates;
  now = 0;
  /** A timing wheel, because all delays are short and whole: a slot holds the events of one instant, a list in order. */
  readonly #firsts: (Event | null)[] = new Array<Event | null>(SPAN).fill(null);
  readonly #lasts: (Event | null)[] = new Array<Event | null>(SPAN).fill(null);
  #ids = 0;
  /** Bit `to` of word `from`: nothing gets through. */
  readonly #cuts: number[];

  constructor(seed: number, nodeCount: number, founding: (ids: readonly NodeId[]) => KernelLayout, rules: Rules) {
    this.random = new KernelRandom(seed);
    this.rates = this.#chooseRates();
    this.#rules = rules;
    this.#cuts = new Array<number>(nodeCount).fill(0);
    const ids = Array.from({ length: nodeCount }, () => this.newNodeId());
    const layout = founding(ids);
    ids.forEach((id, index) => {
      const skew = this.random.below(2 * this.rates.skewMax + 1) - this.rates.skewMax;
      this.nodes.push({ index, id, boot: 1, isUp: true, disk: new KernelDisk(layout), clock: new HybridClock(), skew });
    });
  }

  #chooseRates(): FaultRates {
    const random = this.random;
    const some = (probability: number, max: number): number => (random.chance(probability) ? random.float() * max : 0);
    return {
      loss: some(0.5, 0.2), repeat: some(0.3, 0.1), delayMax: 2 + random.below(30), crash: some(0.6, 0.012), wipe: some(0.4, 0.003),
      cut: some(0.4, 0.01), expiry: some(0.4, 0.5), skewMax: random.chance(0.5) ? random.below(300) : 0, move: some(0.7, 0.03),
      syncMax: 1 + random.below(30),
    };
  }

  newNodeId(): NodeId {
    this.#ids++;
    return this.#ids.toString(16).padStart(32, '0') as NodeId;
  }

  /** The living node with this id, if any. */
  byId(id: NodeId): KernelNode | undefined {
    for (const node of this.nodes) if (node.id === id) return node;
    return undefined;
  }

  /** The delay is whole; events of one instant run in the order in which they were scheduled. */
  after(delay: number, run: () => void): void {
    assert(Number.isInteger(delay) && delay >= 0 && delay < SPAN, 'a delay is whole and within the wheel');
    const slot = (this.now + delay) % SPAN;
    const event: Event = { run, next: null };
    const last = this.#lasts[slot] ?? null;
    if (last === null) this.#firsts[slot] = event;
    else last.next = event;
    this.#lasts[slot] = event;
  }

  /** Runs events up to the instant, those too that are scheduled for an instant while it runs. */
  runUntil(end: number): void {
    for (; ; this.now++) {
      const slot = this.now % SPAN;
      for (let event = this.#firsts[slot] ?? null; event !== null; event = event.next) event.run();
      this.#firsts[slot] = null;
      this.#lasts[slot] = null;
      if (this.now >= end) return;
    }
  }

  /** Delivers `run` at the node, perhaps late, twice or never; not to a later life of the node. */
  send(from: KernelNode, to: KernelNode, run: () => void): void {
    this.counts.messages++;
    const { rates, random } = this;
    if (from === to) {
      this.#deliver(to, 0, run);
      return;
    }
    if ((((this.#cuts[from.index] ?? 0) >> to.index) & 1) === 1 || random.chance(rates.loss)) return;
    this.#deliver(to, 1 + random.below(rates.delayMax), run);
    if (random.chance(rates.repeat)) this.#deliver(to, 1 + random.below(3 * rates.delayMax), run);
  }

  #deliver(to: KernelNode, delay: number, run: () => void): void {
    const { boot } = to;
    this.after(delay, () => {
      if (to.isUp && to.boot === boot) run();
    });
  }

  /** A change of the node's disk; `done` follows its sync (rule R1). Null: waits for what was written before. */
  write(node: KernelNode, change: ((state: KernelState) => void) | null, done: () => void): void {
    if (change === null && (node.disk.isClean || !this.#rules.replyAfterFsync)) {
      done();
      return;
    }
    const isIdle = node.disk.write(change, this.#rules.replyAfterFsync ? done : () => undefined);
    if (isIdle) this.#sync(node);
    if (!this.#rules.replyAfterFsync) done();
  }

  #sync(node: KernelNode): void {
    const { disk } = node;
    disk.startSync();
    const { boot } = node;
    this.after(1 + this.random.below(this.rates.syncMax), () => {
      if (node.isUp && node.boot === boot && node.disk === disk && disk.finishSync()) this.#sync(node);
    });
  }

  crash(node: KernelNode): void {
    node.isUp = false;
    node.boot++;
    this.counts.crashes++;
    node.disk.crash((n) => this.random.below(n));
    node.clock = new HybridClock();
  }

  /** The node comes back with an empty disk: as somebody else. */
  wipe(node: KernelNode, layout: KernelLayout): void {
    this.crash(node);
    this.counts.wipes++;
    if (this.#rules.emptyDiskIsNew) node.id = this.newNodeId();
    node.disk = new KernelDisk({ ...layout, epoch: 0, arcs: new Map() });
  }

  cut(from: KernelNode, to: KernelNode): void {
    this.#cuts[from.index] = (this.#cuts[from.index] ?? 0) | (1 << to.index);
  }

  heal(): void {
    this.#cuts.fill(0);
  }
}
