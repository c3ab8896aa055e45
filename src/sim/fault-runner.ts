/**
 * Carries out a fault plan on a cluster. Faults overlap freely, but for what would make the checks mean nothing: a disk
 * is lost only while the ring is whole and at rest, so that at most one disk of a replica set is missing before the
 * ring is repaired (two lost disks may lose data, and we promise no more), and rings don't get smaller than planned.
 *
 * `finish` ends all faults: heals the network and the disks, wakes and starts every node.
 */
import { assertNever } from '../domain/assert.ts';
import type { BodyFileOperation, Fault, FaultKind, FaultPlan } from './fault-plan.ts';
import { faultText } from './fault-plan.ts';
import type { SimCluster } from './sim-cluster.ts';
import type { SimNetwork } from './sim-network.ts';
import { CALM_NETWORK } from './sim-network.ts';
import type { SimNode } from './sim-node.ts';
import type { Simulation } from './simulation.ts';

/** Members of a ring that survives the loss of a disk: with two, one lost disk is half of every replica set. */
const MEMBERS_FOR_LOSS = 3;
/** Members of a ring that can do without one for good: those left still have n copies. */
const MEMBERS_FOR_LOSS_FOR_GOOD = 4;
/** Virtual milliseconds until a node that is gone for good is out of the ring, at most, when nothing else is wrong. */
const LOSS_WAIT_MS = 30_000;
/** Virtual milliseconds that the loss of a disk waits for the ring to be at rest; then it doesn't happen. */
const REST_WAIT_MS = 15_000;
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
  #isDiskMissing = false;
  #isFinished = false;

  constructor(deps: FaultRunnerDeps) {
    this.#deps = deps;
  }

  /** Resolves when all faults of the plan are over. */
  async run(plan: FaultPlan): Promise<void> {
    const { clock } = this.#deps.sim;
    this.#deps.network.setFaults(plan.network);
    this.#membersMin = plan.membersMin;
    await Promise.all(
      plan.faults.map(async ({ atMs, fault }) => {
        await clock.sleep(atMs);
        await this.#try(fault);
      }),
    );
    // What every run is to have, if it was left out because nobody was there to do it to.
    if (!this.#hasHappened('crash', 'crash-all')) await this.#try({ kind: 'crash-all', downMs: SPELL_MS });
    if (!this.#hasHappened('join', 'leave')) await this.#try({ kind: 'join' });
  }

  finish(): void {
    this.#isFinished = true;
    const { cluster, network } = this.#deps;
    network.healAll();
    network.setFaults(CALM_NETWORK);
    for (const node of cluster.nodes()) {
      node.forgiveDisk();
      node.resume();
      node.start();
    }
  }

  #hasHappened(...kinds: readonly FaultKind[]): boolean {
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
      case 'body-crash':
        return await this.#bodyCrash(this.#upNode(fault.victim), fault, fault.operation, fault.downMs);
      case 'crash-all':
        return await this.#crashAll(fault, fault.downMs);
      case 'wipe':
        return await this.#wipe(fault, fault.victim, fault.downMs);
      case 'loss':
        return await this.#lose(fault, fault.victim);
      case 'join':
        this.#note(fault);
        this.#deps.addNode();
        return true;
      case 'leave':
        return await this.#leave(fault, fault.victim);
      case 'partition':
      case 'one-way-cut':
      case 'delay-spike':
      case 'reset':
        return await this.#disturbNetwork(fault);
      case 'clock-skew': {
        const node = this.#anyNode(fault.victim);
        if (node === null) return false;
        this.#note(fault, node);
        node.skew.skewMs = fault.skewMs;
        return true;
      }
      case 'slow-disk':
        return await this.#slowDisk(fault, this.#anyNode(fault.victim), fault.syncMs, fault.durationMs);
      case 'disk-error': {
        const node = this.#upNode(fault.victim);
        if (node === null) return false;
        this.#note(fault, node);
        node.failSync();
        return true;
      }
      case 'staging-error': {
        const node = this.#anyNode(fault.victim);
        if (node === null) return false;
        this.#note(fault, node);
        node.failStaging(fault.operation, fault.code, fault.skip);
        return true;
      }
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

  async #bodyCrash(node: SimNode | null, fault: Fault, operation: BodyFileOperation, downMs: number): Promise<boolean> {
    if (node === null) return false;
    this.#note(fault, node);
    node.crashAfter(operation, operation === 'remove' || operation === 'sync-directory' ? '/bodies/' : '/staging/');
    const happened = await this.#deps.sim.waitUntil(() => this.#isFinished || !node.isUp(), REST_WAIT_MS, 100);
    node.disk.watchNext(null);
    await this.#sleep(downMs);
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

  async #wipe(fault: Fault, victim: number, downMs: number): Promise<boolean> {
    const { sim, cluster } = this.#deps;
    const isAtRest = (): boolean => !this.#isDiskMissing && cluster.nodes().length >= MEMBERS_FOR_LOSS && cluster.isQuiet();
    if (!(await sim.waitUntil(() => this.#isFinished || isAtRest(), REST_WAIT_MS, 100)) || this.#isFinished) return false;
    const node = this.#upNode(victim);
    if (node === null) return false;
    this.#note(fault, node);
    this.#isDiskMissing = true;
    node.wipe(cluster.nodes().filter((other) => other !== node).map(({ name }) => name));
    await this.#sleep(downMs);
    node.start();
    await sim.waitUntil(() => this.#isFinished || cluster.isQuiet(), REST_WAIT_MS, 100);
    this.#isDiskMissing = !cluster.isQuiet();
    return true;
  }

  async #lose(fault: Fault, victim: number): Promise<boolean> {
    const { sim, cluster } = this.#deps;
    const isAtRest = (): boolean => !this.#isDiskMissing && cluster.nodes().length >= MEMBERS_FOR_LOSS_FOR_GOOD && cluster.isQuiet();
    if (!(await sim.waitUntil(() => this.#isFinished || isAtRest(), REST_WAIT_MS, 100)) || this.#isFinished) return false;
    const node = this.#upNode(victim);
    if (node === null) return false;
    this.#note(fault, node);
    this.#isDiskMissing = true;
    node.lose();
    await sim.waitUntil(() => this.#isFinished || cluster.isQuiet(), LOSS_WAIT_MS, 100);
    this.#isDiskMissing = !cluster.isQuiet();
    return true;
  }

  async #leave(fault: Fault, victim: number): Promise<boolean> {
    const node = this.#upNode(victim);
    const stayers = this.#deps.cluster.views().filter(({ state }) => state === 'serving').length;
    // Nobody leaves while a lost disk is being replaced: too few might be left to take its copies over.
    if (node === null || stayers <= this.#membersMin || this.#isDiskMissing) return false;
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

  async #disturbNetwork(fault: Fault & { readonly kind: 'partition' | 'one-way-cut' | 'delay-spike' | 'reset' }): Promise<boolean> {
    const { network, cluster, sim } = this.#deps;
    const names = cluster.nodes().map(({ name }) => name);
    this.#note(fault);
    switch (fault.kind) {
      case 'reset': {
        const name = names[fault.victim % names.length];
        if (name !== undefined) network.resetConnections(name);
        return name !== undefined;
      }
      case 'delay-spike':
        network.setFaults({ extraDelayMs: fault.delayMs });
        await this.#sleep(fault.durationMs);
        network.setFaults({ extraDelayMs: 0 });
        return true;
      case 'partition':
      case 'one-way-cut': {
        const cuts = cutsOf(fault, names);
        for (const [from, to] of cuts) network.cut(from, to);
        sim.note('fault', `cut: ${cuts.map(([from, to]) => `${from}>${to}`).join(' ') || 'nothing'}`);
        await this.#sleep(fault.durationMs);
        for (const [from, to] of cuts) network.heal(from, to);
        return cuts.length > 0;
      }
      default:
        return assertNever(fault);
    }
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

/** Directed links that the fault swallows. */
function cutsOf(fault: Fault & { readonly kind: 'partition' | 'one-way-cut' }, names: readonly string[]): readonly (readonly [string, string])[] {
  if (fault.kind === 'one-way-cut') {
    const from = names[fault.from % names.length];
    const to = names[fault.to % names.length];
    return from === undefined || to === undefined || from === to ? [] : [[from, to]];
  }
  const sideOf = (index: number): number => (fault.sides >> index % 16) & 1;
  return names.flatMap((from, i) => names.flatMap((to, j) => (sideOf(i) === sideOf(j) ? [] : [[from, to] as const])));
}
