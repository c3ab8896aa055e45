/** Looks at every node of a ring each second while it is shaken: whose ring it says it is in, which arcs lack a majority or a copy. */
import type { ChaosRing } from './chaos-ring.ts';

const LOOK_MS = 1_000;

export class RingMonitor {
  readonly clusterIds = new Map<string, string>();
  looks = 0;
  underReplicatedMax = 0;
  /** Looks at which somebody saw an arc without a majority. */
  unavailableLooks = 0;
  readyMin: number;
  readonly #ring: ChaosRing;
  readonly #loop: Promise<void>;
  #isRunning = true;

  constructor(ring: ChaosRing) {
    this.#ring = ring;
    this.readyMin = ring.replicas;
    this.#loop = this.#run();
  }

  get wrong(): readonly string[] {
    return this.clusterIds.size <= 1 ? [] : [`two rings: ${[...this.clusterIds].map(([id, who]) => `${id} (${who})`).join(', ')}`];
  }

  async end(): Promise<void> {
    this.#isRunning = false;
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (this.#isRunning) {
      await this.#look();
      for (let i = 0; i < LOOK_MS / 50 && this.#isRunning; i++) await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
  }

  async #look(): Promise<void> {
    const { nodes } = this.#ring;
    let isUnavailable = false;
    this.readyMin = Math.min(this.readyMin, nodes.filter(({ isReady }) => isReady).length);
    await Promise.all(nodes.map(async (node) => {
      const view = await node.view().catch(() => null);
      if (view === null) return;
      if (view.clusterId !== null && !this.clusterIds.has(view.clusterId)) this.clusterIds.set(view.clusterId, node.name);
      if (!node.isReady) return;
      this.underReplicatedMax = Math.max(this.underReplicatedMax, await node.metric('dht_replication_under_replicated_objects') ?? 0);
      if ((await node.metric('dht_ring_ranges', 'status="unavailable"') ?? 0) > 0) isUnavailable = true;
    }));
    this.looks += 1;
    if (isUnavailable) this.unavailableLooks += 1;
  }
}
