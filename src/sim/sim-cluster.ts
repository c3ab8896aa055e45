/**
 * A whole cluster on one event queue: machines, the network between them, and what everybody may know of it. Ten times
 * a virtual second each node is looked at: its layout goes to the layout checker, a node that has left is ended.
 */
import { hash } from 'node:crypto';
import { BinaryWriter } from '../encoding/binary-writer.ts';
import { writeLayout } from '../encoding/layout-encoding.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { NodeView } from '../node/node-service.ts';
import type { Timer } from '../ports/clock.ts';
import { LayoutChecker } from './checkers/layouts.ts';
import { RegisterChecker } from './checkers/registers.ts';
import { checkReplicaSets } from './checkers/replica-sets.ts';
import type { SimDiskOptions } from './sim-disk.ts';
import { SimDisk } from './sim-disk.ts';
import type { SimNetwork } from './sim-network.ts';
import type { NodePlace, NodeProgram, StartProgram } from './sim-node.ts';
import { SimNode } from './sim-node.ts';
import type { Simulation } from './simulation.ts';
import type { Gateway } from './workload.ts';

const WATCH_INTERVAL_MS = 100;
/** Connections of a node for each node there is, both ways, and those that the network itself repeats (invariant I21). */
const CONNECTIONS_PER_NODE = 30;

export interface SimClusterDeps {
  readonly sim: Simulation;
  readonly network: SimNetwork;
  readonly startProgram: StartProgram;
}

export interface SimClusterOptions {
  readonly disk: SimDiskOptions;
}

export class SimCluster {
  readonly layouts: LayoutChecker;
  readonly #registers: RegisterChecker;
  readonly #deps: SimClusterDeps;
  readonly #options: SimClusterOptions;
  readonly #nodes: SimNode[] = [];
  #watch: Timer | null = null;

  constructor(deps: SimClusterDeps, options: SimClusterOptions) {
    this.#deps = deps;
    this.#options = options;
    this.layouts = new LayoutChecker((violation) => deps.sim.fail(violation));
    this.#registers = new RegisterChecker((violation) => deps.sim.fail(violation));
    this.#watchAgain();
  }

  /** A new machine; its node starts at once. */
  add(place: NodePlace): SimNode {
    const { sim, network, startProgram } = this.#deps;
    const name = `${place.host}:${place.port}`;
    const latencies = { syncLatency: { ...this.#options.disk.syncLatency }, otherLatency: { ...this.#options.disk.otherLatency } };
    const disk = new SimDisk({ clock: sim.clock, random: sim.random.fork(`disk of ${name}`) }, { ...this.#options.disk, ...latencies });
    const plug = { endpoint: network.endpoint(name), unplug: () => network.crash(name) };
    const node = new SimNode({ sim, disk, latencies, plug, startProgram, names: () => this.nodes().map((other) => other.name) }, place);
    this.#nodes.push(node);
    node.start();
    return node;
  }

  /** All machines whose node hasn't left. */
  nodes(): readonly SimNode[] {
    return this.#nodes.filter((node) => !node.isGone());
  }

  programs(): readonly NodeProgram[] {
    return this.#nodes.flatMap((node) => node.program() ?? []);
  }

  views(): readonly NodeView[] {
    return this.programs().map(({ service }) => service.view());
  }

  gateways(): readonly Gateway[] {
    return this.#nodes.flatMap((node) => node.gateway() ?? []);
  }

  /** Every node serves, and all agree on one stable layout whose members they are. */
  isQuiet(): boolean {
    return this.unrest() === null;
  }

  /** Why the cluster isn't quiet, in words. */
  unrest(): string | null {
    const nodes = this.nodes();
    const down = nodes.find((node) => node.program() === null || node.isPaused());
    if (down !== undefined) return `${down.name} is not up`;
    const views = this.views();
    const layouts = this.programs().map((program) => program.layout());
    const first = layouts[0] ?? null;
    if (first === null) return 'there is no layout';
    for (const [index, view] of views.entries()) {
      const name = `${view.host}:${view.port}`;
      const layout = layouts[index] ?? null;
      if (view.state !== 'serving') return `${name} is ${view.state}: ${view.stateDetail}`;
      if (layout?.epoch !== first.epoch) return `${name} is in epoch ${layout?.epoch ?? 0}, another in ${first.epoch}`;
      if (layout.phase !== 'stable') return `the layout of epoch ${layout.epoch} is moving`;
      if (!layout.members.some(({ nodeId }) => nodeId === view.nodeId)) return `${name} is no member`;
    }
    if (first.members.length !== nodes.length) return `the layout has ${first.members.length} members, ${nodes.length} nodes are up`;
    return null;
  }

  /** The newest layout that any node is in. */
  newestLayout(): Layout | null {
    return this.programs().flatMap((program) => program.layout() ?? []).reduce<Layout | null>((a, b) => (a === null || b.epoch > a.epoch ? b : a), null);
  }

  stopWatching(): void {
    this.#watch?.cancel();
    this.#watch = null;
  }

  #watchAgain(): void {
    this.#watch = this.#deps.sim.clock.after(WATCH_INTERVAL_MS, () => {
      this.#watchAgain();
      for (const node of this.#nodes) this.#lookAt(node);
    });
  }

  #lookAt(node: SimNode): void {
    const program = node.program();
    if (program === null) return;
    const layout = program.layout();
    const { nodeId, state } = program.service.view();
    // A disk set back to an old snapshot has old epochs and old registers, until its node finds out.
    if (layout !== null && !node.isSetBack()) {
      const isNew = this.layouts.observe(nodeId, layout.clusterId, layout.epoch, () => fingerprint(layout));
      if (isNew) for (const wrong of checkReplicaSets(layout)) this.#deps.sim.fail(wrong);
      this.#registers.observe(node.name, nodeId as NodeId, layout, program.store);
    }
    const connections = this.#deps.network.connectionCount(node.name);
    const most = CONNECTIONS_PER_NODE * (this.#nodes.length + 1);
    if (connections > most) this.#deps.sim.fail(`${node.name} has ${connections} connections, more than ${most}`);
    // It may have left while a newer layout was still being made durable.
    if (state === 'left') void node.endIfLeft();
  }
}

function fingerprint(layout: Layout): string {
  const writer = new BinaryWriter();
  writeLayout(writer, layout);
  return hash('sha256', writer.finish());
}
