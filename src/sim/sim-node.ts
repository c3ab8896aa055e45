/**
 * A simulated machine with one node on it. The machine has a name, a disk and a wall clock that outlive the processes;
 * each process life gets doors of its own (clock, disk, network, random, log) that hang by one lifeline.
 *
 *            start                 opened
 *   down -------------> starting ----------> up <------> paused
 *    ^                      |                 |  |
 *    |    crash, exit       |                 |  | the node says that it left
 *    +----------------------+-----------------+  v
 *                                               gone (for good)
 */
import { assert } from '../domain/assert.ts';
import type { BodyId, NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { NodeService } from '../node/node-service.ts';
import type { ByteNetwork } from '../ports/byte-network.ts';
import type { Clock } from '../ports/clock.ts';
import type { Disk } from '../ports/disk.ts';
import type { Log } from '../ports/log.ts';
import type { Meter } from '../ports/meter.ts';
import type { Random } from '../ports/random.ts';
import type { RegisterStore } from '../storage/register-store.ts';
import { checkBodies } from './checkers/bodies.ts';
import { Lifeline } from './lifeline.ts';
import type { WallSkew } from './process-clock.ts';
import { ProcessClock } from './process-clock.ts';
import { ProcessDisk } from './process-disk.ts';
import { ProcessNetwork } from './process-network.ts';
import type { FileArea, FileOperation } from './fault.ts';
import type { DiskSnapshot, LatencyRange, SimDisk } from './sim-disk.ts';
import { SEGMENT_SUFFIX } from './sim-disk.ts';
import { SimLog } from './sim-log.ts';
import { SIM_METER } from './sim-meter.ts';
import type { Simulation } from './simulation.ts';
import { describe } from './simulation.ts';
import type { Gateway } from './workload.ts';

/** The doors of one process life. */
export interface NodeDoors {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly network: ByteNetwork;
  readonly random: Random;
  readonly log: Log;
  readonly meter: Meter;
  /** Ends the process at once, as after a failed fsync. */
  readonly exit: (reason: string) => void;
}

export interface NodePlace {
  readonly host: string;
  readonly port: number;
  /** Addresses to join; the first `bootstrapExpect` of them found a ring together. */
  readonly seeds: readonly string[];
  readonly bootstrapExpect: number;
}

/** A running node, as checkers see it. */
export interface NodeProgram {
  readonly service: NodeService;
  readonly store: RegisterStore;
  /** The layout in which it answers; null while there is none, or it changes. */
  layout(): Layout | null;
  /** Bytes of the log that are durable: grows with each change (rule R16). */
  logPosition(): number;
  stop(): Promise<void>;
}

export type StartProgram = (doors: NodeDoors, place: NodePlace) => Promise<NodeProgram>;

/** The machine's plug in the network. */
export interface NetworkPlug {
  readonly endpoint: ByteNetwork;
  /** Breaks all connections and closes all listeners of the machine. */
  unplug(): void;
}

export interface DiskLatencies {
  readonly syncLatency: { minMs: number; maxMs: number };
  readonly otherLatency: { minMs: number; maxMs: number };
}

export interface SimNodeDeps {
  readonly sim: Simulation;
  readonly disk: SimDisk;
  /** The times that the disk takes: read by it at each operation. */
  readonly latencies: DiskLatencies;
  readonly plug: NetworkPlug;
  readonly startProgram: StartProgram;
  /** Names of all nodes there are, as a name service gives them. */
  readonly names: () => readonly string[];
}

/** A process that ended by itself is started again after so long, as by Kubernetes. */
const RESTART_MS = 1000;

/** Parts of paths by which files of an area are known. */
const AREA_PATHS: Readonly<Record<FileArea, string>> = { log: '/log', staging: '/staging/', bodies: '/bodies/', any: '' };

/** Inside the first record behind the headers of segment and batch. */
const LOG_ROT_AT = 64 + 48 + 12;

interface Life {
  /** Failures of the disk before this life: further ones excuse a process that ends by itself. */
  readonly faultsBefore: number;
  readonly lifeline: Lifeline;
  readonly died: Promise<void>;
  readonly onDeath: () => void;
  program: NodeProgram | null;
  /** Clients are let in; no longer once the node stops. */
  isOpen: boolean;
}

export class SimNode {
  readonly name: string;
  readonly disk: SimDisk;
  readonly skew: WallSkew = { skewMs: 0 };
  readonly #deps: SimNodeDeps;
  #place: NodePlace;
  readonly #healthy: { readonly syncLatency: LatencyRange; readonly otherLatency: LatencyRange };
  #life: Life | null = null;
  #lives = 0;
  #isGone = false;
  #isPaused = false;
  /** The identity whose disk was set back, to an old snapshot or by rot: once the node finds out, it gives that up and its process ends. */
  #setBackId: string | null = null;
  /** Of the log, when the last process ended. */
  #durableBefore = 0;
  #mayExit = false;

  constructor(deps: SimNodeDeps, place: NodePlace) {
    this.#deps = deps;
    this.#place = place;
    this.disk = deps.disk;
    this.#healthy = { syncLatency: { ...deps.latencies.syncLatency }, otherLatency: { ...deps.latencies.otherLatency } };
    this.name = `${place.host}:${place.port}`;
  }

  /** Has a process, opened or not. */
  isUp(): boolean {
    return this.#life !== null;
  }

  /** Left the ring for good. */
  isGone(): boolean {
    return this.#isGone;
  }

  isPaused(): boolean {
    return this.#isPaused;
  }

  /** The identity that it has shown to others and still has; null: none yet, or the disk that had it is lost. */
  knownId(): NodeId | null {
    const view = this.program()?.service.view();
    return view === undefined || this.isSetBack() ? null : (view.nodeId as NodeId);
  }

  /** Its disk is an old one, and the node hasn't found out yet. */
  isSetBack(): boolean {
    return this.#setBackId !== null && (this.program()?.service.view().nodeId ?? this.#setBackId) === this.#setBackId;
  }

  /** Null while it has no process or that is still opening. */
  program(): NodeProgram | null {
    return this.#life?.program ?? null;
  }

  /** The highest version that its process speaks; null while it has none or that is still opening. */
  protocolMax(): number | null {
    return this.program()?.service.view().protocolMax ?? null;
  }

  gateway(): Gateway | null {
    const life = this.#life;
    if (life === null || life.program === null || !life.isOpen || this.#isPaused) return null;
    return {
      name: this.name, objects: life.program.service.objects, died: life.died,
      deliver: (run) => { life.lifeline.deliver(run); },
    };
  }

  /** Starts a process. It opens in the background; nothing happens while one is running or after the node left. */
  start(): void {
    if (this.#life !== null || this.#isGone) return;
    const { sim, plug } = this.#deps;
    const lifeline = new Lifeline(sim.clock);
    const { promise: died, resolve: onDeath } = Promise.withResolvers<void>();
    const life: Life = { faultsBefore: this.disk.faultsMet(), lifeline, died, onDeath, program: null, isOpen: true };
    this.#life = life;
    const doors: NodeDoors = {
      clock: new ProcessClock(sim.clock, lifeline, this.skew),
      disk: new ProcessDisk(this.disk.boot(), lifeline),
      network: new ProcessNetwork(plug.endpoint, lifeline),
      random: sim.random.fork(`${this.name}, life ${this.#lives++}`),
      log: new SimLog((level, text) => sim.note(this.name, level === 'info' ? text : `${level}: ${text}`), {}),
      meter: SIM_METER,
      exit: (reason) => {
        if (this.#life === life) this.#exited(life, reason);
      },
    };
    sim.note(this.name, 'process starts');
    this.#deps.startProgram(doors, this.#presentPlace()).then(
      (program) => {
        if (this.#life !== life) return;
        life.program = program;
        // In the last batch of a log rot looks like a torn write: it is cut off, and the others have to tell.
        if (this.disk.holdsRot(SEGMENT_SUFFIX) && program.logPosition() < this.#durableBefore) this.#setBackId = program.service.view().nodeId;
        void this.#checkBodies(life, program);
      },
      (error: unknown) => {
        if (this.#life !== life) return;
        if (this.#isExcused(life)) this.#exited(life, String(error));
        else sim.abort(`${this.name} can't start: ${describe(error)}`);
      },
    );
  }

  /** A node with seeds finds those that came since too; a founder has none. */
  #presentPlace(): NodePlace {
    const { seeds } = this.#place;
    if (seeds.length === 0) return this.#place;
    const others = this.#deps.names().filter((name) => name !== this.name && !seeds.includes(name));
    return { ...this.#place, seeds: [...seeds, ...others] };
  }

  /** The power fails. */
  crash(): void {
    if (this.#life === null) return;
    this.#deps.sim.note(this.name, 'power fails');
    this.#die();
    this.disk.crash();
  }

  /** The process is killed; the machine, and what it holds of files in memory, goes on. */
  kill(): void {
    if (this.#life === null) return;
    this.#deps.sim.note(this.name, 'process is killed');
    this.#die();
    this.disk.kill();
  }

  /** The process ends in this way at the moment after the disk has done such an operation. */
  endAfter(operation: FileOperation, area: FileArea, end: 'crash' | 'kill'): void {
    const { sim } = this.#deps;
    const run = (): void => { sim.clock.after(0, () => { if (end === 'crash') this.crash(); else this.kill(); }); };
    this.disk.watchNext({ operation, where: AREA_PATHS[area], run });
  }

  /** The power fails and the disk is lost. Its next process joins through `seeds`: a founder's own settings would found again. */
  wipe(seeds: readonly string[]): void {
    this.crash();
    this.#place = { ...this.#place, seeds, bootstrapExpect: 1 };
    this.#deps.sim.note(this.name, 'disk is lost');
    this.disk.wipe();
  }

  /** The machine is gone for good, with its disk. */
  lose(): void {
    this.crash();
    this.#isGone = true;
    this.#deps.sim.note(this.name, 'is gone for good');
    this.disk.wipe();
  }

  /** The power fails and the disk is back as it was then. */
  restore(snapshot: DiskSnapshot, seeds: readonly string[]): void {
    this.#setBackId = this.program()?.service.view().nodeId ?? null;
    this.crash();
    this.#place = { ...this.#place, seeds, bootstrapExpect: 1 };
    this.#deps.sim.note(this.name, 'disk is set back to an old snapshot');
    this.disk.restore(snapshot);
  }

  pause(): void {
    if (this.#life === null) return;
    this.#deps.sim.note(this.name, 'stands still');
    this.#isPaused = true;
    this.#life.lifeline.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#deps.sim.note(this.name, 'goes on');
    this.#isPaused = false;
    this.#life?.lifeline.resume();
  }

  /** Such an operation on a file of the area fails, after `skip` that succeed. */
  failDisk(operation: FileOperation | 'read', area: FileArea, code: 'EIO' | 'ENOSPC', skip: number): void {
    this.disk.failNext(operation, code, skip, AREA_PATHS[area]);
  }

  /**
   * Rot in the log of a node that is down: a bit at the beginning of its first segment, which is acknowledged when anything is.
   * False: there is no log.
   */
  rotLog(): boolean {
    const segment = [...this.disk.snapshot().keys()].filter((path) => path.endsWith(SEGMENT_SUFFIX)).sort()[0];
    if (segment === undefined) return false;
    this.#deps.sim.note(this.name, 'the log rots');
    this.disk.flipBit(segment, LOG_ROT_AT, 3);
    return true;
  }

  /** Whether the process may end by itself, or not start. */
  expectExits(areExpected: boolean): void {
    this.#mayExit = areExpected;
  }

  /** What is stored now becomes that part of the volume (1: not a byte is free); null: there is room again. */
  fillVolume(usedPart: number | null): void {
    this.#deps.sim.note(this.name, usedPart === null ? 'the volume has room' : `the volume is ${Math.round(usedPart * 100)} % full`);
    this.disk.setUsedPart(usedPart);
  }

  /** Every sync takes so long, everything else a quarter of it; null: as fast as it was built. */
  slowDisk(syncMs: number | null): void {
    const { syncLatency, otherLatency } = this.#deps.latencies;
    Object.assign(syncLatency, syncMs === null ? this.#healthy.syncLatency : { minMs: syncMs, maxMs: syncMs });
    Object.assign(otherLatency, syncMs === null ? this.#healthy.otherLatency : { minMs: syncMs / 4, maxMs: syncMs / 4 });
  }

  /** Ends the process in order and holds it to leave nothing behind. */
  async stop(): Promise<void> {
    const life = this.#life;
    if (life === null) return;
    assert(life.program !== null && !this.#isPaused, 'only a running node can be stopped');
    life.isOpen = false;
    await Promise.race([life.program.stop(), life.died]);
    // What is due at this very moment may still run.
    await this.#deps.sim.clock.sleep(1);
    if (this.#life !== life) return;
    const leftovers = life.lifeline.leftovers();
    if (leftovers.length > 0) this.#deps.sim.fail(`${this.name} stopped and left open: ${leftovers.join(', ')}`);
    this.#deps.sim.note(this.name, 'process ends');
    this.#die();
  }

  /** What `main` does when a leave is complete: ends the process, exit code 0. */
  async endIfLeft(): Promise<void> {
    if (this.#isGone || this.#isPaused || this.program()?.service.view().state !== 'left') return;
    this.#isGone = true;
    this.#deps.sim.note(this.name, 'has left');
    await this.stop();
  }

  /** The fault plan may have taken this body from the disk: its file rotted, or the log did, which holds the small ones. */
  mayHaveLost(bodyId: BodyId): boolean {
    return this.disk.isRotten(bodyId) || this.disk.holdsRot(SEGMENT_SUFFIX);
  }

  async #checkBodies(life: Life, { store }: NodeProgram): Promise<void> {
    const wrong = await checkBodies(this.name, store, (bodyId) => this.mayHaveLost(bodyId));
    if (this.#life === life) wrong.forEach((violation) => this.#deps.sim.fail(violation));
  }

  /** Whether this process may end by itself: its disk failed it, or was set back. */
  #isExcused(life: Life): boolean {
    return this.#mayExit || this.isSetBack() || this.disk.faultsMet() > life.faultsBefore;
  }

  /** What is not synced stays in the page cache: only the process is gone. */
  #exited(life: Life, reason: string): void {
    this.#deps.sim.note(this.name, `process exits: ${reason}`);
    if (!this.#isExcused(life)) this.#deps.sim.fail(`${this.name} ended by itself: ${reason}`);
    this.#die();
    this.disk.kill();
    this.#deps.sim.clock.after(RESTART_MS, () => this.start());
  }

  #die(): void {
    const life = this.#life;
    if (life === null) return;
    this.#durableBefore = life.program?.logPosition() ?? this.#durableBefore;
    this.#life = null;
    this.#isPaused = false;
    life.lifeline.cut();
    this.#deps.plug.unplug();
    life.onDeath();
  }
}
