/**
 * A directed scenario on whole nodes: a ring in the simulator with a network whose times are known to the millisecond, so
 * that a test can cut a link between a message and its answer. What clients do is kept as a history.
 */
import { PROTOCOL_VERSIONS } from '../../src/domain/protocol-versions.ts';
import { hash } from 'node:crypto';
import { must } from '../../src/domain/assert.ts';
import type { OpId } from '../../src/domain/ids.ts';
import type { WriteCondition } from '../../src/domain/object-operation.ts';
import type { Rules } from '../../src/domain/rules.ts';
import { NODE_TUNING, type NodeTuning } from '../../src/node/node-tuning.ts';
import { hasher } from '../../src/ring/hasher.ts';
import { replicaSets } from '../../src/ring/placement.ts';
import { checkBodies } from '../../src/sim/checkers/bodies.ts';
import { checkLinearizability } from '../../src/sim/checkers/linearizability.ts';
import { OBJECT_MODEL } from '../../src/sim/checkers/object-model.ts';
import { dhtProgram } from '../../src/sim/dht-program.ts';
import { History } from '../../src/sim/history.ts';
import { SimCluster } from '../../src/sim/sim-cluster.ts';
import { CALM_NETWORK, SimNetwork } from '../../src/sim/sim-network.ts';
import type { Meter } from '../../src/ports/meter.ts';
import { SIM_METER } from '../../src/sim/sim-meter.ts';
import type { NodeProgram, SimNode } from '../../src/sim/sim-node.ts';
import { Simulation } from '../../src/sim/simulation.ts';

export const KEY_BITS = 48;
/** Milliseconds from one node to another, always. */
export const TRANSIT_MS = 5;
/** Milliseconds of a sync, always. */
export const SYNC_MS = 1;
const WAIT_MS_MAX = 60_000;

export class Scenario {
  readonly sim: Simulation;
  readonly network: SimNetwork;
  readonly cluster: SimCluster;
  /** By name, what processes of nodes of an older build speak at most. */
  readonly protocolMax = new Map<string, number>();
  /** What a process of the node with this name counts with, each time one starts. */
  meterOf: (name: string) => Meter = () => SIM_METER;
  readonly #history = new History();
  #operations = 0;

  constructor(rules: Rules, tuning: Partial<NodeTuning> = {}) {
    this.sim = new Simulation({ seed: 1, durationMsMax: 600_000, eventsMax: 5_000_000, linesMax: 10_000 });
    const transit = { latencyMinMs: TRANSIT_MS, latencyMaxMs: TRANSIT_MS };
    this.network = new SimNetwork({ clock: this.sim.clock, random: this.sim.random.fork('network') }, { ...CALM_NETWORK, ...transit });
    const startProgram = dhtProgram({
      ring: { keyBits: KEY_BITS, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1 },
      tuning: { ...NODE_TUNING, scrub: { passMs: 5_000, pieceMs: 1, noteMs: 1_000 }, store: { ...NODE_TUNING.store, segmentBytes: 2 ** 20, space: { ...NODE_TUNING.store.space, ballastBytes: 4096, ballastPieceBytes: 1024 } }, ...tuning },
      outAfterMs: 600_000,
      versionsOf: (name) => ({ ...PROTOCOL_VERSIONS, max: this.protocolMax.get(name) ?? PROTOCOL_VERSIONS.max }),
      rules,
    });
    const sync = { minMs: SYNC_MS, maxMs: SYNC_MS };
    this.cluster = new SimCluster(
      { sim: this.sim, network: this.network, startProgram: (doors, place) => startProgram({ ...doors, meter: this.meterOf(`${place.host}:${place.port}`) }, place) },
      { disk: { capacityBytes: 2 ** 30, syncLatency: sync, otherLatency: { minMs: 0, maxMs: 0 } } },
    );
  }

  /** Runs the scenario; gives what was violated, in words. */
  async run(play: () => Promise<void>): Promise<readonly string[]> {
    const { violations } = await this.sim.run(async () => {
      await play();
      const verdict = checkLinearizability(this.#history.entries(), OBJECT_MODEL, 100_000);
      if (verdict.kind !== 'linearizable') this.sim.fail(`"${verdict.key}" is not linearizable (${verdict.kind})`);
    });
    return violations;
  }

  /** Nodes that found a ring together, at rest. */
  async found(names: readonly string[]): Promise<readonly SimNode[]> {
    const nodes = names.map((name) => this.add(name, names, names.length));
    await this.rest();
    return nodes;
  }

  add(name: string, seeds: readonly string[], bootstrapExpect: number): SimNode {
    const [host = '', port = ''] = name.split(':');
    return this.cluster.add({ host, port: Number(port), seeds, bootstrapExpect });
  }

  async rest(): Promise<void> {
    await this.until(() => this.cluster.isQuiet(), () => `the ring comes to rest: ${this.cluster.unrest() ?? ''}`);
  }

  /** Waits in virtual time, looking twice a millisecond. */
  async until(condition: () => boolean, what: () => string): Promise<void> {
    if (!(await this.sim.waitUntil(condition, WAIT_MS_MAX, 0.5))) throw new Error(`waited in vain until ${what()}`);
  }

  sleep(delayMs: number): Promise<void> {
    return this.sim.clock.sleep(delayMs);
  }

  /** Nothing passes between the two, either way. */
  separate(a: SimNode, b: SimNode): void {
    this.network.partition([a.name], [b.name]);
  }

  unite(a: SimNode, b: SimNode): void {
    this.network.heal(a.name, b.name);
    this.network.heal(b.name, a.name);
  }

  program(node: SimNode): NodeProgram {
    return must(node.program(), `the process of ${node.name}`);
  }

  /** Names of the nodes that hold the name's copies in the layout of this node, best first. */
  replicasOf(name: string, node: SimNode): readonly string[] {
    const layout = must(this.program(node).layout(), 'a layout');
    const { new: replicas } = replicaSets(layout, hasher(name, layout.keyBits));
    return replicas.map((nodeId) => must(layout.members.find((member) => member.nodeId === nodeId), 'a member').name);
  }

  /** Begins a put and returns its end. */
  put(through: SimNode, name: string, body: string, condition: WriteCondition = { kind: 'none' }): Promise<string> {
    const opId = hash('sha256', `operation ${this.#operations++}`).slice(0, 32) as OpId;
    const number = this.#history.invoke(through.name, name, { kind: 'put', tag: opId, condition: { kind: 'none' } });
    const bytes = Buffer.from(body);
    const outcome = this.program(through).service.objects.put({ name, body: bytes, contentType: 'text/plain', meta: [], condition, opId });
    return outcome.then((end) => {
      this.sim.note('client', `put ${name} "${body}" through ${through.name}: ${end.kind}`);
      if (end.kind === 'stored') this.#history.returned(number, { kind: 'stored', isCreated: end.isCreated });
      if (end.kind === 'not-applied') this.#history.drop(number);
      return end.kind;
    });
  }

  /** Begins a delete and returns its end. */
  remove(through: SimNode, name: string): Promise<string> {
    const opId = hash('sha256', `operation ${this.#operations++}`).slice(0, 32) as OpId;
    const number = this.#history.invoke(through.name, name, { kind: 'delete', condition: { kind: 'none' } });
    return this.program(through).service.objects.delete({ name, condition: { kind: 'none' }, opId }).then((end) => {
      this.sim.note('client', `delete ${name} through ${through.name}: ${end.kind}`);
      if (end.kind === 'deleted') this.#history.returned(number, { kind: 'deleted', wasPresent: end.wasPresent });
      if (end.kind === 'not-applied') this.#history.drop(number);
      return end.kind;
    });
  }

  /** The body as text; null: absent. Throws when nothing can be read. */
  async get(through: SimNode, name: string): Promise<string | null> {
    const number = this.#history.invoke(through.name, name, { kind: 'get' });
    const end = await this.program(through).service.objects.get({ name, consistency: 'linearizable', wantBody: true });
    this.sim.note('client', `get ${name} through ${through.name}: ${end.kind === 'found' ? String(end.body) : end.kind}`);
    if (end.kind === 'unavailable') throw new Error(`"${name}" can't be read through ${through.name}: ${end.detail}`);
    const tag = end.kind === 'found' ? (end.record.ops.at(-1)?.opId ?? '') : null;
    this.#history.returned(number, { kind: 'value', tag });
    return end.kind === 'found' ? String(end.body) : null;
  }

  /** Reports records whose bodies aren't beside them. */
  async checkBodies(node: SimNode): Promise<void> {
    for (const wrong of await checkBodies(node.name, this.program(node).store, () => false)) this.sim.fail(wrong);
  }
}
