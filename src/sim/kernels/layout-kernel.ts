/**
 * The layout kernel: nodes of `layout-kernel-node.ts` under a seeded storm of joins, leaves, crashes, wiped disks,
 * partitions, lost, late and doubled messages; then calm. One seed replays a run.
 *
 * Checked: one layout per epoch; no read older than an acknowledged write or than an earlier read, deleted items stay
 * deleted; after the storm one stable layout everywhere with exactly those members that want to be, and every
 * position readable. A disk is wiped only in a stable layout of three or more whose members all still have theirs and
 * which a majority of the other voters has (before, a single voter of the layout of two may be the only one to know it):
 * the promises of the design end there. Each seed draws its own mix of faults (swarm testing).
 * Source: protocol sections A.4 and H.2; [VOPR] "Liveness".
 */
import { AssertionFailure } from '../../domain/assert.ts';
import type { ClusterId, NodeId } from '../../domain/ids.ts';
import type { Layout } from '../../domain/layout.ts';
import { foundingLayout } from '../../layout/founding-layout.ts';
import { isMajority } from '../../layout/next-layout.ts';
import { EMPTY_SLOT } from '../../layout/chain-acceptor.ts';
import { EventQueue } from '../event-queue.ts';
import { between, chance, pick, shuffled, SimRandom } from '../sim-random.ts';
import { KERNEL_KEY_BITS, KERNEL_POSITIONS, type Item, type KernelNodeDisk, type KernelReply, type KernelRequest } from './layout-kernel-message.ts';
import { LayoutKernelNode } from './layout-kernel-node.ts';
import type { LayoutKernelRules } from './layout-kernel-rules.ts';

export interface LayoutKernelCounts {
  epochs: number;
  crashes: number;
  wipes: number;
  losses: number;
  outs: number;
  joins: number;
  leaves: number;
  partitions: number;
  writes: number;
  reads: number;
  events: number;
}

export interface LayoutKernelRun {
  /** Null: nothing wrong. */
  readonly violation: string | null;
  readonly counts: LayoutKernelCounts;
}

const NAMES: readonly string[] = ['n0:1', 'n1:1', 'n2:1', 'n3:1', 'n4:1', 'n5:1'];
const STORM_MS = 5_000;
const CALM_MS = 20_000;
const TICK_MS = 150;
const OPERATION_TIMEOUT_MS = 400;

class Violation extends Error {}

/** A place where a node runs: one disk at a time, one life at a time. */
interface Machine {
  readonly name: string;
  /** Null: nothing was ever here, or it has left. */
  disk: KernelNodeDisk | null;
  /** Null: down. */
  node: LayoutKernelNode | null;
  life: number;
  isLeaving: boolean;
}

/** What a sequential client knows of its position. */
interface ClientState {
  nextVersion: number;
  /** Reads must not be older than this version. */
  low: number;
  readonly tombstones: number[];
  isBusy: boolean;
}

export function runLayoutKernel(seed: number, rules: LayoutKernelRules): LayoutKernelRun {
  const world = new World(seed, rules);
  try {
    world.run();
    return { violation: null, counts: world.counts };
  } catch (error) {
    if (!(error instanceof Violation) && !(error instanceof AssertionFailure)) throw error;
    return { violation: error.message, counts: world.counts };
  }
}

class World {
  readonly counts: LayoutKernelCounts = { epochs: 0, crashes: 0, wipes: 0, losses: 0, outs: 0, joins: 0, leaves: 0, partitions: 0, writes: 0, reads: 0, events: 0 };
  readonly #rules: LayoutKernelRules;
  readonly #random: SimRandom;
  readonly #queue = new EventQueue();
  readonly #machines: Machine[];
  readonly #clients: ClientState[] = KERNEL_POSITIONS.map(() => ({ nextVersion: 1, low: 0, tombstones: [], isBusy: false }));
  readonly #decided = new Map<number, { readonly layout: Layout; readonly text: string }>();
  readonly #blocked = new Set<string>();
  readonly #lossRate: number;
  readonly #doubleRate: number;
  readonly #slowRate: number;
  #now = 0;
  #isStorm = true;
  #bornCount = 0;

  constructor(seed: number, rules: LayoutKernelRules) {
    this.#rules = rules;
    this.#random = new SimRandom(`layout-kernel/${seed}`);
    this.#lossRate = chance(this.#random, 0.5) ? between(this.#random, 0, 0.25) : 0;
    this.#doubleRate = chance(this.#random, 0.5) ? 0.15 : 0;
    this.#slowRate = chance(this.#random, 0.5) ? 0.1 : 0;
    this.#machines = NAMES.map((name) => ({ name, disk: null, node: null, life: 0, isLeaving: false }));
  }

  run(): void {
    this.#found(1 + this.#random.below(4));
    this.#scheduleFaults();
    for (let at = 0; at < KERNEL_POSITIONS.length; at++) this.#client(at);
    this.#runUntil(STORM_MS, () => false);
    this.#isStorm = false;
    this.#blocked.clear();
    for (const machine of this.#machines) if (machine.disk !== null && machine.node === null) this.#start(machine);
    if (!this.#runUntil(STORM_MS + CALM_MS, () => this.#isConverged())) throw new Violation(`stuck: ${this.#states()}`);
    const unread = new Set(KERNEL_POSITIONS.keys());
    this.#readAll(unread);
    if (!this.#runUntil(this.#now + 5_000, () => unread.size === 0)) throw new Violation('unreadable after the storm');
  }

  /** Reads as a client does: again when a change of the layout came in between, as one that gives up a lost member still may. */
  #readAll(unread: Set<number>): void {
    const reader = this.#machines.find((machine) => machine.node !== null)?.node;
    for (const at of unread) {
      const client = this.#clients[at] as ClientState;
      const { low } = client;
      reader?.read(at, (item) => {
        if (unread.delete(at)) this.#checkRead(client, item, at, low);
      });
    }
    if (unread.size > 0) this.#after(OPERATION_TIMEOUT_MS, () => { this.#readAll(unread); });
  }

  #runUntil(endMs: number, isDone: () => boolean): boolean {
    let checkedAt = this.#now;
    for (;;) {
      if (this.#now - checkedAt >= 50) {
        checkedAt = this.#now;
        if (isDone()) return true;
      }
      const event = this.#queue.pop();
      if (event === null) return isDone();
      this.#now = event.atMs;
      this.counts.events++;
      event.run?.();
      if (this.#now >= endMs) return isDone();
    }
  }

  #after(delayMs: number, run: () => void): void {
    this.#queue.push(this.#now + delayMs, run);
  }

  // ---------------------------------------------------------------------------------------------------- machines

  #found(count: number): void {
    const founders = this.#machines.slice(0, count);
    for (const machine of founders) machine.disk = this.#emptyDisk(machine.name);
    const members = founders.map(({ name, disk }) => ({ nodeId: (disk as KernelNodeDisk).nodeId, name, advertise: name, zone: '', weight: 1 }));
    const layout = foundingLayout({
      clusterId: this.#random.hex(16) as ClusterId, keyBits: KERNEL_KEY_BITS, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1, members,
    });
    this.#remember(layout);
    for (const machine of founders) {
      (machine.disk as KernelNodeDisk).layout = layout;
      this.#start(machine);
    }
  }

  #emptyDisk(name: string): KernelNodeDisk {
    const nodeId = (this.#random.hex(15) + (this.#bornCount++ % 256).toString(16).padStart(2, '0')) as NodeId;
    return { nodeId, name, layout: null, slot: EMPTY_SLOT, caught: new Set(), items: KERNEL_POSITIONS.map(() => null), floors: KERNEL_POSITIONS.map(() => 0) };
  }

  #start(machine: Machine): void {
    if (machine.disk === null) return;
    const life = ++machine.life;
    const isAlive = (): boolean => machine.life === life && machine.node !== null;
    const node = new LayoutKernelNode({
      disk: machine.disk,
      random: this.#random.fork(`${machine.name}/${life}`),
      net: {
        now: () => this.#now,
        later: (delayMs, run) => { this.#after(delayMs, () => { if (isAlive()) run(); }); },
        call: (name, nodeId, request, onReply) => { this.#call(machine.name, name, nodeId, request, (reply) => { if (isAlive()) onReply(reply); }); },
        adopted: (layout) => { this.#remember(layout); },
        exit: () => {
          this.#stop(machine);
          machine.disk = null;
          machine.isLeaving = false;
        },
      },
    }, { rules: this.#rules, names: NAMES });
    node.isLeaving = machine.isLeaving;
    machine.node = node;
    const tick = (): void => {
      if (!isAlive()) return;
      node.tick();
      this.#after(TICK_MS + between(this.#random, -20, 20), tick);
    };
    this.#after(between(this.#random, 0, TICK_MS), tick);
  }

  #stop(machine: Machine): void {
    machine.node = null;
    machine.life++;
  }

  #call(from: string, to: string, nodeId: NodeId | null, request: KernelRequest, onReply: (reply: KernelReply) => void): void {
    this.#deliver(from, to, () => {
      const machine = this.#machines.find((candidate) => candidate.name === to);
      if (machine === undefined || machine.node === null || (nodeId !== null && machine.disk?.nodeId !== nodeId)) return;
      const reply = machine.node.handle(request);
      if (reply !== null) this.#deliver(to, from, () => { onReply(reply); });
    });
  }

  #deliver(from: string, to: string, run: () => void): void {
    const random = this.#random;
    if (this.#isStorm && from !== to && chance(random, this.#lossRate)) return;
    const copies = this.#isStorm && chance(random, this.#doubleRate) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const delayMs = this.#isStorm && chance(random, this.#slowRate) ? between(random, 20, 900) : between(random, 1, 20);
      this.#after(delayMs, () => { if (this.#blocked.size === 0 || !this.#blocked.has(`${from}>${to}`)) run(); });
    }
  }

  // ------------------------------------------------------------------------------------------------------ faults

  #scheduleFaults(): void {
    const kinds: readonly (() => void)[] = [
      () => { this.#crash(); }, () => { this.#wipe(); }, () => { this.#lose(); }, () => { this.#join(); }, () => { this.#leave(); }, () => { this.#partition(); },
    ];
    const enabled = kinds.flatMap((fault, i) => (i === 3 || chance(this.#random, 0.7) ? [fault] : []));
    const gapMs = between(this.#random, 80, 500);
    const next = (): void => {
      if (!this.#isStorm) return;
      pick(this.#random, enabled)();
      this.#after(between(this.#random, 0.3, 1.7) * gapMs, next);
    };
    this.#after(gapMs, next);
  }

  #crash(): void {
    const running = this.#machines.filter((machine) => machine.node !== null);
    if (running.length === 0) return;
    const machine = pick(this.#random, running);
    this.#stop(machine);
    this.counts.crashes++;
    this.#restartLater(machine);
  }

  #restartLater(machine: Machine): void {
    this.#after(between(this.#random, 30, chance(this.#random, 0.3) ? 2_500 : 600), () => { if (machine.node === null) this.#start(machine); });
  }

  #wipe(): void {
    const machine = this.#expendable(3);
    if (machine === null) return;
    this.#stop(machine);
    machine.disk = this.#emptyDisk(machine.name);
    machine.isLeaving = false;
    this.counts.wipes++;
    this.#restartLater(machine);
  }

  /** A node and its disk are gone for good: the ring has to take it out by itself. */
  #lose(): void {
    const machine = this.#expendable(4 + this.#machines.filter(({ isLeaving }) => isLeaving).length);
    if (machine === null) return;
    this.#stop(machine);
    machine.disk = null;
    machine.isLeaving = false;
    this.counts.losses++;
  }

  /** A member whose disk may be lost now: the ring promises to survive one such loss at a time. */
  #expendable(membersMin: number): Machine | null {
    const newest = this.#newest();
    const kept = new Set(this.#machines.map((machine) => machine.disk?.nodeId));
    if (newest.phase !== 'stable' || newest.members.length < membersMin || !newest.members.every((member) => kept.has(member.nodeId))) return null;
    const victim = pick(this.#random, newest.members);
    const machine = this.#machines.find(({ disk }) => disk?.nodeId === victim.nodeId);
    const followers = this.#machines.filter((other) => other !== machine && other.disk?.layout?.epoch === newest.epoch).map((other) => other.disk?.nodeId);
    return machine === undefined || !isMajority(newest.voters, (nodeId) => followers.includes(nodeId)) ? null : machine;
  }

  #join(): void {
    const empty = this.#machines.filter((machine) => machine.disk === null);
    if (empty.length === 0) return;
    const machine = pick(this.#random, empty);
    machine.disk = this.#emptyDisk(machine.name);
    this.#start(machine);
    this.counts.joins++;
  }

  #leave(): void {
    const staying = this.#newest().members.flatMap((member) => this.#machines.filter(({ disk, isLeaving }) => disk?.nodeId === member.nodeId && !isLeaving));
    // While a lost member waits to be replaced, those who have to take its copies over stay.
    if (staying.length < 2 || (staying.length <= 3 && this.#newest().members.some(({ nodeId }) => this.#machines.every(({ disk }) => disk?.nodeId !== nodeId)))) return;
    const machine = pick(this.#random, staying);
    // A joiner must not leave before it is a member: if its move is given up, a lost disk under its name stays a member.
    const isFullMember = machine.disk?.layout?.members.some((member) => member.nodeId === machine.disk?.nodeId && member.state === 'member') === true;
    if (!isFullMember) return;
    machine.isLeaving = true;
    if (machine.node !== null) machine.node.isLeaving = true;
    this.counts.leaves++;
  }

  #partition(): void {
    const side = shuffled(this.#random, NAMES).slice(0, 1 + this.#random.below(3));
    const isOneWay = chance(this.#random, 0.3);
    const links = NAMES.filter((name) => !side.includes(name)).flatMap((name) => side.flatMap((other) => (isOneWay ? [`${other}>${name}`] : [`${other}>${name}`, `${name}>${other}`])));
    for (const link of links) this.#blocked.add(link);
    this.counts.partitions++;
    this.#after(between(this.#random, 100, 2_000), () => { for (const link of links) this.#blocked.delete(link); });
  }

  // ----------------------------------------------------------------------------------------------------- clients

  /** One operation at a time on the position; what takes too long has an unknown outcome. */
  #client(at: number): void {
    const client = this.#clients[at] as ClientState;
    const next = (): void => { this.#after(between(this.#random, 5, 120), () => { this.#client(at); }); };
    const nodes = this.#machines.flatMap(({ node }) => (node === null || node.disk.layout === null ? [] : [node]));
    if (!this.#isStorm) return;
    if (nodes.length === 0) return next();
    const node = pick(this.#random, nodes);
    let isOver = false;
    const finish = (check: () => void): void => {
      if (isOver) return;
      isOver = true;
      check();
      next();
    };
    this.#after(OPERATION_TIMEOUT_MS, () => { finish(() => undefined); });
    if (chance(this.#random, 0.15)) {
      node.erase(at);
    } else if (chance(this.#random, 0.5)) {
      const { low } = client;
      node.read(at, (item) => { finish(() => { this.#checkRead(client, item, at, low); }); });
    } else {
      const item: Item = { version: client.nextVersion++, isTombstone: chance(this.#random, 0.4) };
      if (item.isTombstone) client.tombstones.push(item.version);
      node.write(at, item, () => {
        finish(() => {
          client.low = Math.max(client.low, item.version);
          this.counts.writes++;
        });
      });
    }
  }

  #checkRead(client: ClientState, item: Item | null, at: number, low: number): void {
    this.counts.reads++;
    if (item !== null) {
      if (item.version < low) throw new Violation(`position ${at}: read version ${item.version} after ${low}`);
      client.low = Math.max(client.low, item.version);
      return;
    }
    // Nothing there: fine while nothing is known to be written; afterwards only when a tombstone at or above that may have been erased.
    if (low === 0) return;
    const tombstone = client.tombstones.find((version) => version >= low);
    if (tombstone === undefined) throw new Violation(`position ${at}: version ${low} is lost`);
    client.low = Math.max(client.low, tombstone);
  }

  // ----------------------------------------------------------------------------------------------------- checks

  #remember(layout: Layout): void {
    const known = this.#decided.get(layout.epoch);
    if (known?.layout === layout) return;
    const arcs = layout.arcs.map((arc) => ({ ...arc, since: [...arc.since].map(([nodeId, epoch]) => `${nodeId} ${epoch}`).sort() }));
    const text = JSON.stringify({ ...layout, arcs });
    if (known !== undefined && known.text !== text) throw new Violation(`fork at epoch ${layout.epoch}`);
    this.#decided.set(layout.epoch, { layout, text });
    if (layout.members.some((member) => member.state === 'lost')) this.counts.outs++;
    this.counts.epochs = Math.max(this.counts.epochs, layout.epoch);
  }

  #newest(): Layout {
    return (this.#decided.get(this.counts.epochs) as { readonly layout: Layout }).layout;
  }

  #isConverged(): boolean {
    const newest = this.#newest();
    const here = this.#machines.filter((machine) => machine.disk !== null);
    const gone = newest.members.filter((member) => here.every(({ disk }) => disk?.nodeId !== member.nodeId)).length;
    // One that is gone stays a member where nobody could replace it.
    const mayStay = newest.members.length - gone < newest.replicas;
    if (newest.phase !== 'stable' || newest.members.length - gone !== here.length || (gone > 0 && !mayStay)) return false;
    return here.every(({ disk, node }) => node !== null && node.epoch === newest.epoch && newest.members.some((member) => member.nodeId === disk?.nodeId))
      && here.every(({ isLeaving }) => !isLeaving || here.length === 1);
  }

  #states(): string {
    const newest = this.#newest();
    const machines = this.#machines.filter((machine) => machine.disk !== null)
      .map(({ name, disk, isLeaving }) => `${name}${isLeaving ? ' leaving' : ''} at ${disk?.layout?.epoch ?? 0}`);
    return `${newest.phase} ${newest.epoch} of ${newest.members.map((member) => `${member.name} ${member.state}`).join(', ')}; ${machines.join(', ')}`;
  }
}
