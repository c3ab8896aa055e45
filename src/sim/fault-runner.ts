/**
 * Carries out a fault plan on a cluster. Faults overlap freely, but for what would make the checks mean nothing: disks are
 * lost one at a time (disk-losses.ts), and rings don't get smaller than planned.
 *
 * `finish` ends all faults: heals the network and the disks, wakes and starts every node.
 */
import { assertNever } from '../domain/assert.ts';
import { DiskLosses } from './disk-losses.ts';
import type { Fault, FaultKind, FaultOf } from './fault.ts';
import { faultText } from './fault.ts';
import type { FaultPlan } from './fault-plan.ts';
import { disturbNetwork } from './network-faults.ts';
import type { SimCluster } from './sim-cluster.ts';
import type { SimNetwork } from './sim-network.ts';
import { CALM_NETWORK } from './sim-network.ts';
import type { SimNode } from './sim-node.ts';
import type { Simulation } from './simulation.ts';

/** Virtual milliseconds that a crash at a chosen operation waits for it; then it doesn't happen. */
const OPERATION_WAIT_MS = 15_000;
/** Virtual milliseconds that a crash outside the plan lasts. */
const SPELL_MS = 1000;

export interface FaultRunnerDeps {
  readonly sim: Simulation;
  readonly cluster: SimCluster;
  readonly network: SimNetwork;
  /** Starts one more node, which joins. */
  readonly addNode: () => void;
}

export class FaultRunner {
  /** Faults that happened, by kind. */
  readonly counts = new Map<FaultKind, number>();
  readonly #deps: FaultRunnerDeps;
  #membersMin = 1;
  readonly #losses: DiskLosses;
  #isFinished = false;

  constructor(deps: FaultRunnerDeps) {
    this.#deps = deps;
    this.#losses = new DiskLosses({
      ...deps, upNode: (number) => this.#upNode(number), isFinished: () => this.#isFinished, sleep: (delayMs) => this.#sleep(delayMs),
    });
  }

  /** Resolves when all faults of the plan are over. */
  async run(plan: FaultPlan): Promise<void> {
    const { clock } = this.#deps.sim;
    this.#deps.network.setFaults(plan.network);
    if (plan.faults.some(({ fault }) => fault.kind === 'repeat')) this.#deps.network.recordRequests();
    this.#membersMin = plan.membersMin;
    await Promise.all(
      plan.faults.map(async ({ atMs, fault }) => {
        await clock.sleep(atMs);
        await this.#try(fault);
      }),
    );
    if (!plan.mayAdd) return;
    // What every run is to have, if it was left out because nobody was there to do it to.
    if (!this.hasHappened('crash', 'crash-all')) await this.#try({ kind: 'crash-all', downMs: SPELL_MS });
    if (!this.hasHappened('join', 'leave')) await this.#try({ kind: 'join' });
  }

  finish(): void {
    this.#isFinished = true;
    const { cluster, network } = this.#deps;
    network.healAll();
    network.setFaults(CALM_NETWORK);
    for (const node of cluster.nodes()) {
      node.disk.forgiveFaults();
      node.resume();
      node.start();
    }
  }

  hasHappened(...kinds: readonly FaultKind[]): boolean {
    return kinds.some((kind) => this.counts.has(kind));
  }

  async #try(fault: Fault): Promise<void> {
    const happened = await this.#cause(fault);
    if (happened) this.counts.set(fault.kind, (this.counts.get(fault.kind) ?? 0) + 1);
    else this.#deps.sim.note('fault', `left out: ${faultText(fault)}`);
  }

  /** False: there was nobody to do it to. */
  async #cause(fault: Fault): Promise<boolean> {
    switch (fault.kind) {
      case 'crash':
      case 'absence':
        return await this.#crash(this.#upNode(fault.victim), fault, fault.downMs);
      case 'kill':
        return await this.#kill(this.#upNode(fault.victim), fault);
      case 'body-crash':
      case 'log-crash':
      case 'log-kill':
        return await this.#endAtOperation(this.#upNode(fault.victim), fault);
      case 'crash-all':
        return await this.#crashAll(fault, fault.downMs);
      case 'wipe':
      case 'wipe-moving':
      case 'old-snapshot':
      case 'body-rot':
      case 'log-rot':
      case 'loss':
        return await this.#losses.cause(fault, (node) => { this.#note(fault, node); });
      case 'join':
        this.#note(fault);
        this.#deps.addNode();
        return true;
      case 'leave':
        return await this.#leave(fault, fault.victim);
      case 'partition':
      case 'partial-partition':
      case 'one-way-cut':
      case 'delay-spike':
      case 'reset':
      case 'repeat':
        this.#note(fault);
        return await disturbNetwork({ ...this.#deps, sleep: (delayMs) => this.#sleep(delayMs) }, fault);
      case 'clock-skew': {
        const node = this.#anyNode(fault.victim);
        if (node === null) return false;
        this.#note(fault, node);
        node.skew.skewMs = fault.skewMs;
        return true;
      }
      case 'slow-disk':
        return await this.#slowDisk(fault, this.#anyNode(fault.victim), fault.syncMs, fault.durationMs);
      case 'clock-jump':
        return await this.#clockJump(this.#anyNode(fault.victim), fault);
      case 'disk-full':
        return await this.#diskFull(this.#anyNode(fault.victim), fault);
      case 'disk-error':
        return this.#failDisk(fault, (node) => { node.failDisk('sync', fault.area, 'EIO', fault.skip); });
      case 'read-error':
        return this.#failDisk(fault, (node) => { node.failDisk('read', fault.area, 'EIO', fault.skip); });
      case 'staging-error':
        return this.#failDisk(fault, (node) => { node.failDisk(fault.operation, 'staging', fault.code, fault.skip); });
      case 'no-space':
        return this.#failDisk(fault, (node) => { node.failDisk(fault.operation, fault.area, 'ENOSPC', fault.skip); });
      case 'pause':
        return await this.#pause(fault, this.#upNode(fault.victim), fault.durationMs);
      default:
        return assertNever(fault);
    }
  }

  async #crash(node: SimNode | null, fault: Fault, downMs: number): Promise<boolean> {
    if (node === null) return false;
    this.#note(fault, node);
    node.crash();
    await this.#sleep(downMs);
    node.start();
    return true;
  }

  async #kill(node: SimNode | null, fault: FaultOf<'kill'>): Promise<boolean> {
    if (node === null) return false;
    this.#note(fault, node);
    node.kill();
    await this.#sleep(fault.downMs);
    node.start();
    return true;
  }

  async #endAtOperation(node: SimNode | null, fault: FaultOf<'body-crash' | 'log-crash' | 'log-kill'>): Promise<boolean> {
    if (node === null) return false;
    this.#note(fault, node);
    const { operation } = fault;
    const bodyArea = operation === 'remove' || operation === 'sync-directory' ? 'bodies' : 'staging';
    node.endAfter(operation, fault.kind === 'body-crash' ? bodyArea : 'log', fault.kind === 'log-kill' ? 'kill' : 'crash');
    const happened = await this.#deps.sim.waitUntil(() => this.#isFinished || !node.isUp(), OPERATION_WAIT_MS, 20);
    node.disk.watchNext(null);
    if (happened && fault.kind === 'log-kill') {
      node.start();
      await this.#sleep(fault.upMs);
      if (!this.#isFinished) node.crash();
    }
    await this.#sleep(fault.downMs);
    node.start();
    return happened;
  }

  async #crashAll(fault: Fault, downMs: number): Promise<boolean> {
    const nodes = this.#deps.cluster.nodes();
    this.#note(fault);
    for (const node of nodes) node.crash();
    await this.#sleep(downMs);
    for (const node of nodes) node.start();
    return true;
  }

  async #leave(fault: Fault, victim: number): Promise<boolean> {
    const node = this.#upNode(victim);
    // One that is on its way out is no stayer, though it serves: should all leave, the last would end with the others' copies.
    const leaving = new Set<string>(this.#deps.cluster.newestLayout()?.members.flatMap((member) => (member.state === 'leaving' ? [member.nodeId] : [])));
    const stayers = this.#deps.cluster.views().filter(({ state, nodeId }) => state === 'serving' && !leaving.has(nodeId)).length;
    // Nobody leaves while a lost disk is being replaced: too few might be left to take its copies over.
    if (node === null || stayers <= this.#membersMin || this.#losses.isMissing()) return false;
    this.#note(fault, node);
    const outcome = await Promise.race([node.program()?.service.leave(), this.#deps.sim.clock.sleep(5000)]);
    return outcome?.kind === 'leaving';
  }

  async #slowDisk(fault: Fault, node: SimNode | null, syncMs: number, durationMs: number): Promise<boolean> {
    if (node === null) return false;
    this.#note(fault, node);
    node.slowDisk(syncMs);
    await this.#sleep(durationMs);
    node.slowDisk(null);
    return true;
  }

  async #pause(fault: Fault, node: SimNode | null, durationMs: number): Promise<boolean> {
    if (node === null) return false;
    this.#note(fault, node);
    node.pause();
    await this.#sleep(durationMs);
    node.resume();
    return true;
  }

  async #clockJump(node: SimNode | null, fault: FaultOf<'clock-jump'>): Promise<boolean> {
    if (node === null) return false;
    this.#note(fault, node);
    node.skew.skewMs += fault.jumpMs;
    await this.#sleep(fault.durationMs);
    node.skew.skewMs -= fault.jumpMs;
    return true;
  }

  async #diskFull(node: SimNode | null, fault: FaultOf<'disk-full'>): Promise<boolean> {
    if (node === null) return false;
    this.#note(fault, node);
    node.disk.setCapacity(node.disk.usedBytes() + fault.freeBytes);
    await this.#sleep(fault.durationMs);
    node.disk.forgiveFaults();
    return true;
  }

  #failDisk(fault: Fault & { readonly victim: number }, fail: (node: SimNode) => void): boolean {
    const node = this.#anyNode(fault.victim);
    if (node === null) return false;
    this.#note(fault, node);
    fail(node);
    return true;
  }

  #sleep(delayMs: number): Promise<boolean> {
    return this.#deps.sim.waitUntil(() => this.#isFinished, delayMs, 100);
  }

  #upNode(number: number): SimNode | null {
    const nodes = this.#deps.cluster.nodes().filter((node) => node.program() !== null && !node.isPaused());
    return nodes[number % nodes.length] ?? null;
  }

  #anyNode(number: number): SimNode | null {
    const nodes = this.#deps.cluster.nodes();
    return nodes[number % nodes.length] ?? null;
  }

  #note(fault: Fault, node: SimNode | null = null): void {
    this.#deps.sim.note('fault', node === null ? faultText(fault) : `${faultText(fault)}: ${node.name}`);
  }
}
