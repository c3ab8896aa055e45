/**
 * Liveness mode: when the trouble is over, faults end for a core alone. The core holds a majority of the voters; the nodes
 * outside stay broken, each in its own way, and don't come back. Then progress is required within a bounded virtual time:
 *
 * - every name whose replicas have a majority in the core, in each active set, can be written and read through the core;
 * - the layout goes on, when one member is missing and no more: a new node joins the core and serves.
 *
 * Without it a swarm whose faults all end hides every rule that only matters while somebody is missing: a move that waits for
 * ever for a joiner, a quorum that counts the wrong set, a retry that gives up on the one node that answers.
 * Source: [VOPR] "Liveness"; protocol section H.2.
 */
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import { hasher } from '../ring/hasher.ts';
import { allReplicaSets, replicaSets, type ReplicaSets } from '../ring/placement.ts';
import type { Brokenness, CoreEnd } from './fault-plan.ts';
import type { SimCluster } from './sim-cluster.ts';
import type { SimNetwork } from './sim-network.ts';
import type { SimNode } from './sim-node.ts';
import type { Simulation } from './simulation.ts';

export interface CoreDeps {
  readonly sim: Simulation;
  readonly cluster: SimCluster;
  readonly network: SimNetwork;
}

const isMajority = (have: number, of: number): boolean => 2 * have > of;

export class Core {
  readonly #deps: CoreDeps;
  readonly #nodes: Set<SimNode>;
  readonly #outside: readonly (readonly [SimNode, Brokenness])[];

  private constructor(deps: CoreDeps, nodes: readonly SimNode[], outside: readonly (readonly [SimNode, Brokenness])[]) {
    this.#deps = deps;
    this.#nodes = new Set(nodes);
    this.#outside = outside;
  }

  /** Chooses the nodes outside; null: every voter that is left is needed, or nobody knows a layout. */
  static choose(deps: CoreDeps, { first, states }: CoreEnd): Core | null {
    const layout = deps.cluster.newestLayout();
    const nodes = deps.cluster.nodes();
    if (layout === null || nodes.length < 2) return null;
    const outside: (readonly [SimNode, Brokenness])[] = [];
    for (const [i, state] of states.entries()) {
      const candidate = nodes[(first + i) % nodes.length] as SimNode;
      if (outside.some(([node]) => node === candidate)) break;
      const core = nodes.filter((node) => node !== candidate && !outside.some(([other]) => other === node));
      if (!hasVoters(layout, core)) break;
      outside.push([candidate, state]);
    }
    return outside.length === 0 ? null : new Core(deps, nodes.filter((node) => !outside.some(([other]) => other === node)), outside);
  }

  /** Whether clients come in here: through members. A newcomer that isn't let in before the others are back isn't ready for them. */
  isEntry(name: string): boolean {
    const isMember = this.#deps.cluster.newestLayout()?.members.some((member) => member.name === name) ?? false;
    return isMember && [...this.#nodes].some((node) => node.name === name);
  }

  /** A node that comes later belongs to the core. */
  add(newcomer: SimNode): void {
    this.breakOthers(newcomer);
    this.#nodes.add(newcomer);
  }

  /** Breaks the nodes outside for good, or their links to one that comes later. */
  breakOthers(newcomer: SimNode | null): void {
    const { cluster, network, sim } = this.#deps;
    for (const [node, state] of this.#outside) {
      if (newcomer === null) sim.note('fault', `stays broken: ${node.name} ${state}`);
      const others = newcomer === null ? cluster.nodes().filter((other) => other !== node) : [newcomer];
      for (const other of others) {
        if (state === 'cut off' || state === 'mute') network.cut(node.name, other.name);
        if (state === 'cut off' || state === 'deaf') network.cut(other.name, node.name);
      }
      if (newcomer !== null) continue;
      if (state === 'down') node.crash();
      if (state === 'standing still') node.pause();
      if (state === 'without space') node.disk.setCapacity(node.disk.usedBytes());
    }
  }

  /** Whether the name's replicas have a majority in the core, in each set that counts. */
  holds(name: string): boolean {
    const layout = this.#deps.cluster.newestLayout();
    if (layout === null) return false;
    const live = this.#liveIds();
    const { old, new: next } = replicaSets(layout, hasher(name, layout.keyBits));
    return [old, next].every((set) => isMajority(set.filter((id) => live.has(id)).length, set.length));
  }

  /** Whether a new node has to get in: one member is missing, and every arc has a majority without it. */
  canGrow(): boolean {
    const layout = this.#deps.cluster.newestLayout();
    if (layout === null) return false;
    const live = this.#liveIds();
    const isHeld = ({ old, new: next }: ReplicaSets): boolean => [old, next].every((set) => isMajority(set.filter((id) => live.has(id)).length, set.length));
    return layout.members.filter(({ nodeId }) => !live.has(nodeId)).length <= 1 && allReplicaSets(layout).every(isHeld);
  }

  /** Why the core isn't at rest in one stable layout with this member, in words; null: it is. */
  unrest(newcomer: SimNode): string | null {
    const programs = [...this.#nodes].map((node) => [node, node.program()] as const);
    const layout = this.#deps.cluster.newestLayout();
    if (layout === null) return 'there is no layout';
    if (layout.phase !== 'stable') return `the layout of epoch ${layout.epoch} is moving`;
    for (const [node, program] of programs) {
      if (node.isGone()) continue;
      const view = program?.service.view();
      if (program === null || view === undefined) return `${node.name} is not up`;
      // Out of the layout, it keeps what it had until all owners have it; those outside the core never say so.
      if (view.state === 'leaving' && !layout.members.some(({ nodeId }) => nodeId === node.knownId())) continue;
      if (view.state !== 'serving' && view.state !== 'left') return `${node.name} is ${view.state}: ${view.stateDetail}`;
      if (view.state === 'serving' && program.layout()?.epoch !== layout.epoch) return `${node.name} is in epoch ${program.layout()?.epoch ?? 0}, another in ${layout.epoch}`;
    }
    return layout.members.some(({ name }) => name === newcomer.name) ? null : `${newcomer.name} is no member`;
  }

  #liveIds(): ReadonlySet<NodeId> {
    return new Set([...this.#nodes].flatMap((node) => node.knownId() ?? []));
  }
}

function hasVoters(layout: Layout, core: readonly SimNode[]): boolean {
  const ids = new Set(core.flatMap((node) => node.knownId() ?? []));
  return isMajority(layout.voters.filter((id) => ids.has(id)).length, layout.voters.length);
}
