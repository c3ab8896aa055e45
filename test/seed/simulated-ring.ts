/** The ring of the assignment's cases in the simulator, under the virtual clock. */
import { PROTOCOL_VERSIONS } from '../../src/domain/protocol-versions.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import { NODE_TUNING } from '../../src/node/node-tuning.ts';
import { dhtProgram } from '../../src/sim/dht-program.ts';
import { SimCluster } from '../../src/sim/sim-cluster.ts';
import { CALM_NETWORK, SimNetwork } from '../../src/sim/sim-network.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import type { Simulation } from '../../src/sim/simulation.ts';
import type { SeedRing, ShownNode } from './seed-ring.ts';
import { KEY_BITS } from './seed-ring.ts';

export class SimulatedRing implements SeedRing {
  readonly names = Array.from({ length: 12 }, (_, i) => `localhost:${7400 + i}`);
  readonly #sim: Simulation;
  readonly #cluster: SimCluster;
  readonly #nodes = new Map<string, SimNode>();

  constructor(sim: Simulation) {
    this.#sim = sim;
    const network = new SimNetwork({ clock: sim.clock, random: sim.random.fork('network') }, CALM_NETWORK);
    const startProgram = dhtProgram({
      ring: { keyBits: KEY_BITS, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1 },
      tuning: { ...NODE_TUNING, store: { ...NODE_TUNING.store, segmentBytes: 2 ** 20 } },
      outAfterMs: 600_000,
      versionsOf: () => PROTOCOL_VERSIONS,
      rules: ALL_RULES,
    });
    this.#cluster = new SimCluster(
      { sim, network, startProgram },
      { disk: { capacityBytes: 2 ** 30, syncLatency: { minMs: 0.2, maxMs: 2 }, otherLatency: { minMs: 0, maxMs: 0 } } },
    );
  }

  async start(name: string, seed: string | null): Promise<void> {
    const node = this.#cluster.add({ host: 'localhost', port: Number(name.split(':')[1]), seeds: seed === null ? [] : [seed], bootstrapExpect: 1 });
    this.#nodes.set(name, node);
    if (!(await this.#sim.waitUntil(() => node.program() !== null, 1000, 10))) throw new Error(`${name} doesn't start`);
  }

  async show(name: string): Promise<ShownNode> {
    const { service } = this.#program(name);
    const { files, backUpFiles } = await service.files(null, 1000);
    return { ...service.view(), files, backUpFiles };
  }

  async put(through: string, file: string, body: Buffer): Promise<void> {
    const { objects } = this.#program(through).service;
    const outcome = await objects.put({ name: file, body, contentType: 'text/plain', meta: [], condition: { kind: 'none' }, opId: null });
    if (outcome.kind !== 'stored') throw new Error(`put ${file} through ${through}: ${JSON.stringify(outcome)}`);
  }

  async get(through: string, file: string): Promise<Buffer | null> {
    const { objects } = this.#program(through).service;
    const outcome = await objects.get({ name: file, consistency: 'linearizable', wantBody: true });
    if (outcome.kind === 'unavailable') throw new Error(`get ${file} through ${through}: ${outcome.detail}`);
    return outcome.kind === 'found' ? outcome.body : null;
  }

  async leave(name: string): Promise<void> {
    const outcome = await this.#program(name).service.leave();
    if (outcome.kind !== 'leaving') throw new Error(`${name} can't leave: ${outcome.detail}`);
  }

  async kill(name: string): Promise<void> {
    this.#nodes.get(name)?.crash();
    await Promise.resolve();
  }

  hasEnded(name: string): boolean {
    const node = this.#nodes.get(name);
    return node !== undefined && node.isGone() && !node.isUp();
  }

  async within(withinMs: number, problem: () => Promise<string | null>): Promise<void> {
    const endMs = this.#sim.clock.nowMs() + withinMs;
    for (;;) {
      const found = await problem();
      if (found === null) return;
      if (this.#sim.clock.nowMs() > endMs) throw new Error(`${found} (after ${withinMs} ms)`);
      await this.#sim.clock.sleep(20);
    }
  }

  #program(name: string): NonNullable<ReturnType<SimNode['program']>> {
    const program = this.#nodes.get(name)?.program() ?? null;
    if (program === null) throw new Error(`${name} is not up`);
    return program;
  }
}
