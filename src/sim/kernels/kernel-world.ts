/**
 * The world of the register kernel: seeded chance, virtual time, a network that loses, repeats, delays and cuts, and
 * nodes that crash, lose their disks and have wrong clocks. Each seed enables a random subset of the faults at random
 * rates: with everything always on, some dropped rules survived tens of thousands of seeds.
 */
import { must } from '../../domain/assert.ts';
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

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class KernelWorld {
  readonly random: KernelRandom;
  readonly nodes: KernelNode[] = [];
  readonly counts = { operations: 0, unknown: 0, crashes: 0, wipes: 0, moves: 0, erasures: 0, messages: 0, bodyFetches: 0 };
  readonly #rules: Rules;
  rates: FaultRates;
  now = 0;
  #heap: Event[] = [];
  #order = 0;
  #ids = 0;
  readonly #cuts = new Set<string>();

  constructor(seed: number, nodeCount: number, founding: (ids: readonly NodeId[]) => KernelLayout, rules: Rules) {
    this.random = new KernelRandom(seed);
    this.rates = this.#chooseRates();
    this.#rules = rules;
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
    return this.nodes.find((node) => node.id === id);
  }

  after(delay: number, run: () => void): void {
    const event = { at: this.now + delay, order: this.#order++, run };
    const heap = this.#heap;
    let i = heap.push(event) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = must(heap[parent], 'heap parent');
      if (!isBefore(event, above)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = event;
  }

  /** Runs events up to the instant. */
  runUntil(end: number): void {
    for (;;) {
      const top = this.#heap[0];
      if (top === undefined || top.at > end) break;
      this.#pop();
      this.now = top.at;
      top.run();
    }
    this.now = end;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = must(heap.pop(), 'last event');
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      const left = heap[child];
      if (left === undefined) break;
      const right = heap[child + 1];
      let least = left;
      if (right !== undefined && isBefore(right, left)) {
        least = right;
        child++;
      }
      if (!isBefore(least, last)) break;
      heap[i] = least;
      i = child;
    }
    heap[i] = last;
  }

  /** Delivers `run` at the node, perhaps late, twice or never; not to a later life of the node. */
  send(from: KernelNode, to: KernelNode, run: () => void): void {
    this.counts.messages++;
    const { rates, random } = this;
    if (from === to) {
      this.#deliver(to, 0, run);
      return;
    }
    if (this.#cuts.has(`${from.index}>${to.index}`) || random.chance(rates.loss)) return;
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
    this.#cuts.add(`${from.index}>${to.index}`);
  }

  heal(): void {
    this.#cuts.clear();
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
