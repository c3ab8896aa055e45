/**
 * One run of whole nodes on a seed: a ring comes up, clients work on a few names while the fault plan is carried out,
 * then all faults end, the ring has to come to rest, and everything is checked.
 *
 * 1. boot: all initial nodes serve.   2. trouble: workload and faults at the same time; on some seeds the faults then end
 * for a core majority alone, which has to go on (core-end.ts).   3. rest: within a bounded time every node serves in one
 * stable layout.   4. checks: every name through every node, histories, durability, bodies
 * beside their records, pointers; then one node loses power and every name is read once more.   5. stop: every node
 * stops in order and leaves nothing open.
 */
import { DhtError } from '../domain/error-catalogue.ts';
import { compareNames } from '../domain/name-order.ts';
import type { Random } from '../ports/random.ts';
import { checkAcknowledged, type HoldingNode } from './checkers/acknowledged.ts';
import { checkBodies } from './checkers/bodies.ts';
import { checkConvergence } from './checkers/convergence.ts';
import { checkCopies } from './checkers/copies.ts';
import { checkDurability } from './checkers/durability.ts';
import { checkLeftovers } from './checkers/leftovers.ts';
import { checkLinearizability } from './checkers/linearizability.ts';
import { checkListing } from './checkers/listings.ts';
import { OBJECT_MODEL } from './checkers/object-model.ts';
import { PROTOCOL_VERSIONS } from '../domain/protocol-versions.ts';
import { checkPointers } from './checkers/pointers.ts';
import { Core } from './core-end.ts';
import type { CoreEnd, FaultPlan, FaultPlanOptions } from './fault-plan.ts';
import { faultPlan } from './fault-plan.ts';
import type { MixedVersions } from './mixed-versions.ts';
import { FaultRunner } from './fault-runner.ts';
import { History } from './history.ts';
import type { MessageChart } from './message-chart.ts';
import type { OperationId, RunCase } from './run-case.ts';
import { SimCluster } from './sim-cluster.ts';
import type { SimDiskOptions } from './sim-disk.ts';
import { CALM_NETWORK, SimNetwork } from './sim-network.ts';
import type { NodeProgram, SimNode, StartProgram } from './sim-node.ts';
import { chance, pick } from './sim-random.ts';
import type { SimulationOptions, SimulationResult } from './simulation.ts';
import { Simulation } from './simulation.ts';
import type { WorkloadOptions } from './workload.ts';
import { Workload } from './workload.ts';

export interface WholeNodeRunOptions {
  readonly simulation: SimulationOptions;
  readonly disk: SimDiskOptions;
  readonly faults: FaultPlanOptions;
  readonly workload: Omit<WorkloadOptions, 'names'>;
  readonly namesMin: number;
  readonly namesMax: number;
  /** Virtual milliseconds for the ring to come up, and to come to rest once all faults are over. */
  readonly bootMsMax: number;
  readonly restMsMax: number;
  /** Virtual milliseconds after that until all replicas are alike: several comparisons. */
  readonly convergeMsMax: number;
  /** What happens, spelled out; null: what follows from the seed. */
  readonly runCase: Pick<RunCase, 'salt' | 'plan' | 'operations'> | null;
  /** Null: all are of one build. */
  readonly versions: MixedVersions | null;
  /** Virtual milliseconds after which no tombstone may be left once the ring is at rest; null: they outlive the run. */
  readonly tombstonesMsMax: number | null;
}

export interface WholeNodeRunResult extends SimulationResult {
  /** How often each fault happened, each operation ended how, and other things worth counting. */
  readonly counts: ReadonlyMap<string, number>;
}

const UPGRADE_PAUSE_MS = 300;
const SEARCH_STEPS_MAX = 1_000_000;
/** Staged bodies that live longer aren't waited for. */
const SHORT_TTL_MS_MAX = 5_000;
/** A sender that was cut off gives up after 10 s without progress, and what it began anew ends after 5 s of silence. */
const LEFTOVERS_GRACE_MS = 25_000;
/** Looks at the bodies of a node that finds rot meanwhile, and milliseconds between two of them: healing begins a second after it was found. */
const LOOKS_AT_ROT_MAX = 5;
const HEALING_MS = 5_000;
/** Where the names are; the last two come in different orders by UTF-8 and by UTF-16. */
const DIRECTORIES: readonly string[] = ['', 'a/', '', '\u{ff5e}/b/', '\u{10400}/'];

export class WholeNodeRun {
  /** What goes wrong in it. */
  readonly plan: FaultPlan;
  readonly #options: WholeNodeRunOptions;
  readonly #sim: Simulation;
  readonly #random: Random;
  readonly #cluster: SimCluster;
  readonly #network: SimNetwork;
  readonly #history = new History();
  readonly #faults: FaultRunner;
  readonly #workload: Workload;
  readonly #names: readonly string[];
  #nextPort = 1;
  /** While faults have ended for these nodes alone. */
  #core: Core | null = null;
  #upgrades = 0;
  #coreEnds = 0;

  constructor(startProgram: StartProgram, options: WholeNodeRunOptions) {
    this.#options = options;
    const sim = new Simulation(options.simulation);
    this.#sim = sim;
    this.#random = sim.random.fork('run');
    const { runCase } = options;
    const salt = runCase === null || runCase.salt === 0 ? '' : ` ${runCase.salt}`;
    this.#network = new SimNetwork({ clock: sim.clock, random: sim.random.fork(`network${salt}`) }, CALM_NETWORK);
    this.plan = runCase?.plan ?? faultPlan(sim.random.fork('faults'), options.faults);
    const kept = runCase?.operations ?? null;
    const operations = kept === null ? null : new Set(kept);
    this.#cluster = new SimCluster({ sim, network: this.#network, startProgram }, { disk: options.disk });
    this.#faults = new FaultRunner({ sim, cluster: this.#cluster, network: this.#network, addNode: () => { this.#join(); } });
    const nameCount = options.namesMin + this.#random.below(options.namesMax - options.namesMin + 1);
    this.#names = Array.from({ length: nameCount }, (_, i) => `${DIRECTORIES[i % DIRECTORIES.length] ?? ''}file ${i}`);
    this.#workload = new Workload(
      {
        clock: sim.clock,
        random: sim.random.fork('clients'),
        history: this.#history,
        gateways: () => this.#cluster.gateways().filter(({ name }) => this.#core?.isEntry(name) ?? true),
        keeps: (operation) => operations?.has(operation) ?? true,
        onStored: (name, version) => { this.#checkAcknowledged(name, version); },
        note: (who, text) => sim.note(who, text),
        fail: (violation) => sim.fail(violation),
      },
      { ...options.workload, names: this.#names },
    );
  }

  /** Operations that clients began. */
  operations(): readonly OperationId[] {
    return this.#workload.operations;
  }

  /** Draws every message and every line into the chart. */
  drawInto(chart: MessageChart): void {
    this.#network.watchFrames((from, to, frame) => { chart.frame(this.#sim.clock.nowMs(), from, to, frame); });
    this.#sim.transcript.watch((atMs, who, text) => { chart.line(atMs, who, text); });
  }

  /** Violations and rejections that the host process catches count too. */
  abort(text: string): void {
    this.#sim.abort(text);
  }

  async run(): Promise<WholeNodeRunResult> {
    const result = await this.#sim.run(() => this.#main());
    const { counts: faults } = this.#faults;
    const counts = new Map<string, number>([...faults, ...this.#workload.counts, ['layouts', this.#cluster.layouts.count()], ['core ends', this.#coreEnds], ['upgrades at the end', this.#upgrades]]);
    if (faults.has('crash') || faults.has('crash-all')) counts.set('runs with a crash', 1);
    if (faults.has('join') || faults.has('leave')) counts.set('runs with a layout change', 1);
    return { ...result, counts };
  }

  async #main(): Promise<void> {
    const { plan } = this;
    this.#boot(plan.initialNodes);
    if (!(await this.#rest(this.#options.bootMsMax, 'came up'))) return;
    await Promise.all([this.#workload.run(), this.#faults.run(plan)]);
    this.#faults.finish();
    if (plan.coreEnd !== null) await this.#endWithCore(plan.coreEnd);
    if (this.#sim.hasFailed()) return;
    await this.#upgrade();
    this.#sim.note('run', 'all faults are over');
    if (!(await this.#rest(this.#options.restMsMax, 'came to rest'))) return;
    if (!(await this.#converge())) return;
    await this.#check();
    if (this.#sim.hasFailed()) return;
    await this.#readWithoutOne();
    this.#checkHistory();
    this.#cluster.stopWatching();
    await Promise.all(this.#cluster.nodes().map((node) => node.stop()));
  }

  /** The nodes that are still of the build before, one after the other. */
  async #upgrade(): Promise<void> {
    const { versions } = this.#options;
    if (versions === null || !versions.isMixed) return;
    versions.end();
    for (const node of this.#cluster.nodes()) {
      if (!node.isUp() || node.protocolMax() === PROTOCOL_VERSIONS.max) continue;
      this.#upgrades++;
      node.kill();
      await this.#sim.clock.sleep(UPGRADE_PAUSE_MS);
      node.start();
    }
  }

  /** All at once, as first names of one ring, or one after the other through a node that is there. */
  #boot(count: number): void {
    const names = Array.from({ length: count }, () => `node:${this.#nextPort++}`);
    const isTogether = chance(this.#random, 0.5);
    for (const [index, name] of names.entries()) {
      const port = Number(name.slice('node:'.length));
      const seeds = isTogether ? names : index === 0 ? [] : [pick(this.#random, names.slice(0, index))];
      this.#cluster.add({ host: 'node', port, seeds, bootstrapExpect: isTogether ? count : 1 });
    }
  }

  #join(): SimNode {
    const seeds = this.#cluster.nodes().map(({ name }) => name);
    return this.#cluster.add({ host: 'node', port: this.#nextPort++, seeds, bootstrapExpect: 1 });
  }

  /** The others stay broken: what can go on without them has to. */
  async #endWithCore(end: CoreEnd): Promise<void> {
    const { bootMsMax, restMsMax } = this.#options;
    const isUp = (): boolean => this.#cluster.nodes().every((node) => node.program() !== null);
    if (!(await this.#sim.waitUntil(isUp, bootMsMax, 50))) return;
    const core = Core.choose({ sim: this.#sim, cluster: this.#cluster, network: this.#network }, end);
    if (core === null) return;
    core.breakOthers(null);
    this.#core = core;
    this.#coreEnds++;
    const mayGrow = core.canGrow();
    const newcomer = this.#join();
    core.add(newcomer);
    const hasGrown = await this.#sim.waitUntil(() => this.#sim.hasFailed() || core.unrest(newcomer) === null, restMsMax, 50);
    if (mayGrow && !hasGrown && core.canGrow()) this.#sim.fail(`the core has not gone on within ${restMsMax} ms: ${core.unrest(newcomer) ?? ''}`);
    for (const name of this.#names) {
      if (!core.holds(name)) continue;
      const isRead = (await this.#workload.get('core', name, this.#random, 'whole')) !== undefined;
      const isWritten = await this.#workload.putSome('core', name, this.#random);
      if (core.holds(name) && !(isRead && isWritten)) this.#sim.fail(`"${name}" can't be ${isRead ? 'written' : 'read'} through a core that holds it`);
    }
    this.#core = null;
    this.#faults.finish();
  }

  async #rest(msMax: number, what: string): Promise<boolean> {
    const startMs = this.#sim.clock.nowMs();
    const isQuiet = await this.#sim.waitUntil(() => this.#sim.hasFailed() || this.#cluster.isQuiet(), msMax, 50);
    if (this.#sim.hasFailed()) return false;
    if (isQuiet) this.#sim.note('run', `the ring ${what} within ${Math.round(this.#sim.clock.nowMs() - startMs)} ms`);
    else this.#sim.fail(`the ring has not ${what === 'came up' ? 'come up' : 'come to rest'} within ${msMax} ms: ${this.#cluster.unrest() ?? ''}`);
    return isQuiet;
  }

  /** Replicas become alike by themselves, before anybody reads. */
  async #converge(): Promise<boolean> {
    const difference = (): string | null => checkConvergence(this.#names, this.#cluster.programs(), this.#wasClockWrong());
    if (await this.#sim.waitUntil(() => this.#sim.hasFailed() || difference() === null, this.#options.convergeMsMax, 200)) return !this.#sim.hasFailed();
    this.#sim.fail(`not repaired within ${this.#options.convergeMsMax} ms: ${difference() ?? ''}`);
    return false;
  }

  #wasClockWrong(): boolean {
    return this.#faults.counts.has('clock-skew') || this.#faults.counts.has('clock-jump');
  }

  /** Deleted names are forgotten at last. A clock that went wrong made tombstones of a time that isn't here yet. */
  async #checkErasure(): Promise<void> {
    const { tombstonesMsMax } = this.#options;
    if (tombstonesMsMax === null || this.#wasClockWrong()) return;
    const left = (): readonly string[] => this.#cluster.nodes().flatMap((node) => {
      const tombstones = node.program()?.store.totals().tombstones ?? 0;
      return tombstones === 0 ? [] : [`${node.name} has ${tombstones}`];
    });
    if (!(await this.#sim.waitUntil(() => left().length === 0, tombstonesMsMax, 50))) this.#sim.fail(`tombstones are never erased: ${left().join(', ')}`);
  }

  /** A record that rotted last may be found rotten by this very look: from then on it has to be healed. */
  async #wrongBodies(node: SimNode, program: NodeProgram): Promise<readonly string[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await checkBodies(node.name, program.store, (bodyId) => node.mayHaveLost(bodyId));
      } catch (error) {
        if (!(error instanceof DhtError) || error.code !== 'DHT_ERR_DATA_DAMAGED' || attempt === LOOKS_AT_ROT_MAX) throw error;
        await this.#sim.waitUntil(() => this.#sim.hasFailed(), HEALING_MS, 50);
      }
    }
  }

  /** Everything that must hold once the ring is at rest. */
  async #check(): Promise<void> {
    const isRight = (): boolean => checkPointers(this.#cluster.views()).length === 0;
    if (!(await this.#sim.waitUntil(isRight, 5000, 50))) checkPointers(this.#cluster.views()).forEach((wrong) => this.#sim.fail(wrong));
    for (const node of this.#cluster.nodes()) {
      const program = node.program();
      if (program === null) continue;
      for (const wrong of await this.#wrongBodies(node, program)) this.#sim.fail(wrong);
    }
    await this.#checkErasure();
    const present: string[] = [];
    for (const name of this.#names) {
      const tag = await this.#workload.get('checker', name, this.#random, 'whole');
      if (tag === undefined) this.#sim.fail(`"${name}" can't be read at rest`);
      else this.#expectDurable(name, tag);
      if (typeof tag === 'string') present.push(name);
      const wrong = await checkCopies(name, this.#cluster.programs());
      if (wrong !== null) this.#sim.fail(wrong);
    }
    await this.#checkListing(present);
    await this.#checkLeftovers();
  }

  #checkAcknowledged(name: string, version: string): void {
    const layout = this.#cluster.newestLayout();
    const nodes = this.#cluster.nodes().flatMap((node) => {
      const nodeId = node.knownId();
      const program = node.program();
      if (nodeId === null || program === null) return [];
      const { store } = program;
      return [{ nodeId, store: { head: (key) => store.head(key), floor: (key) => store.floor(key), holdsBody: (key, bodyId) => store.holdsBody(key, bodyId) || node.mayHaveLost(bodyId) } } satisfies HoldingNode];
    });
    const wrong = layout === null ? null : checkAcknowledged(name, version, layout, nodes);
    if (wrong !== null) this.#sim.fail(wrong);
  }

  /** What nothing names goes from the disks (invariant I20). */
  async #checkLeftovers(): Promise<void> {
    const { stagingTtlMs, lingerMs } = this.#options.workload.bodies;
    if (stagingTtlMs > SHORT_TTL_MS_MAX) return;
    const leftovers = (): readonly string[] => this.#cluster.nodes().flatMap((node) => {
      const program = node.program();
      return program === null ? [] : checkLeftovers(node.name, node.disk.files().map(([path]) => path), program.store);
    });
    await this.#sim.waitUntil(() => leftovers().length === 0, 4 * stagingTtlMs + 2 * lingerMs + LEFTOVERS_GRACE_MS, 100);
    for (const wrong of leftovers()) this.#sim.fail(wrong);
  }

  /** At rest a listing shows exactly what can be read. */
  async #checkListing(present: readonly string[]): Promise<void> {
    const listing = await this.#workload.listAll('checker', this.#random, '', null, 3);
    const expected = present.toSorted(compareNames).join(', ');
    const shown = listing?.names.join(', ') ?? 'nothing, it failed';
    if (shown !== expected) this.#sim.fail(`at rest there are ${expected}; a listing shows ${shown}`);
  }

  /** Any one node may fail: every name is still there. */
  async #readWithoutOne(): Promise<void> {
    const nodes = this.#cluster.nodes();
    if (nodes.length < 3) return;
    const victim = pick(this.#random, nodes);
    victim.crash();
    for (const name of this.#names) {
      const tag = await this.#workload.get('checker', name, this.#random, 'whole');
      if (tag === undefined) this.#sim.fail(`"${name}" can't be read without ${victim.name}`);
      else this.#expectDurable(name, tag);
    }
    victim.start();
    await this.#rest(this.#options.restMsMax, 'came to rest');
  }

  #expectDurable(name: string, tag: string | null): void {
    const wrong = checkDurability(name, this.#history.entries(), tag);
    if (wrong !== null) this.#sim.fail(wrong);
  }

  #checkHistory(): void {
    for (const listing of this.#workload.listings) {
      checkListing(listing, this.#history.entries(), this.#names).forEach((wrong) => this.#sim.fail(wrong));
    }
    const verdict = checkLinearizability(this.#history.entries(), OBJECT_MODEL, SEARCH_STEPS_MAX);
    if (verdict.kind === 'undecided') this.#sim.fail(`the history of "${verdict.key}" is too tangled to decide in ${SEARCH_STEPS_MAX} steps: nothing is proved`);
    if (verdict.kind !== 'violation') return;
    const stuck = verdict.stuck.map(({ client, op, result }) => `${client}: ${JSON.stringify(op)} -> ${JSON.stringify(result)}`);
    this.#sim.fail(`"${verdict.key}" is not linearizable: after ${verdict.prefix.length} operations none of these can follow: ${stuck.join('; ')}`);
  }
}
