/**
 * Random chaos on a real cluster: lanes of faults for pods, network and members. A volume is lost only in calm; everything else
 * may meet everything else.
 */
import { between, chance, pick, shuffled, type SimRandom } from '../../src/sim/sim-random.ts';
import { isCommandSet } from '../kube/kube-client.ts';
import { FaultLanes, type Fault } from '../support/fault-lanes.ts';
import type { ClusterRing } from './cluster-ring.ts';

export interface ClusterNemesisOptions {
  readonly replicasMin: number;
  readonly replicasMax: number;
}

/** What it does to a release. */
export type ShakenRelease = Pick<ClusterRing, 'replicas' | 'ordinals' | 'pods' | 'podName' | 'deletePod' | 'evict' | 'killContainer' | 'scale' | 'loseVolume' | 'rollingRestart' | 'upgrade'
| 'partition' | 'healPartitions' | 'cutNodeOf' | 'killNodeOf' | 'healNodes' | 'drainNodeOf' | 'untilWhole'>;

/** Milliseconds a ring may take to be whole before a volume is lost; then none is. */
const WHOLE_MS_MAX = 120_000;

export class ClusterNemesis extends FaultLanes {
  readonly #ring: ShakenRelease;
  readonly #options: ClusterNemesisOptions;

  constructor(ring: ShakenRelease, random: SimRandom, options: ClusterNemesisOptions, note: (what: string) => void) {
    super(random, note);
    this.#ring = ring;
    this.#options = options;
  }

  async run(): Promise<void> {
    await Promise.all([
      this.lane('pods', 40_000, this.#refusable('pods', (random) => this.#podFault(random)), true),
      this.lane('network', 60_000, this.#refusable('network', (random) => this.#networkFault(random)), true),
      this.lane('members', 60_000, this.#refusable('members', (random) => this.#memberFault(random)), false),
    ]);
    await this.#ring.healPartitions();
    await this.#ring.healNodes();
  }

  /** The cluster may refuse: a pod isn't there, an upgrade takes too long. The ring has to live with what was done by then. */
  #refusable(name: string, fault: Fault): Fault {
    return (random) => fault(random).catch((error: unknown) => { this.note(`${name}: ${error instanceof Error ? error.message.slice(-300) : String(error)}`); });
  }

  async #podFault(random: SimRandom): Promise<void> {
    const draw = random.float();
    const kinds = ['delete with grace 0', 'delete with grace 0', 'delete', 'evict', ...(isCommandSet('DHT_TEST_CONTAINER_KILL') ? ['SIGKILL', 'SIGKILL'] : [])];
    const kind = pick(random, kinds);
    // One alone gets SIGKILL: Kubernetes waits longer before each restart of a container, and all would be away for minutes.
    const count = kind === 'SIGKILL' || draw < 0.8 ? 1 : draw < 0.94 ? 2 : this.#ring.pods.length;
    // Pods that are leaving may be victims too.
    const victims = shuffled(random, this.#ring.pods.map((_, i) => i)).slice(0, count);
    const names = victims.map((ordinal) => this.#ring.podName(ordinal)).join(', ');
    this.count(kind, `of ${names}`);
    await Promise.all(victims.map(async (ordinal) => {
      switch (kind) {
        case 'delete with grace 0': await this.#ring.deletePod(ordinal, 0); break;
        case 'delete': await this.#ring.deletePod(ordinal); break;
        case 'evict': if (!(await this.#ring.evict(ordinal))) this.note(`${this.#ring.podName(ordinal)} is not evicted: the budget refuses`); break;
        default: await this.#ring.killContainer(ordinal);
      }
    }));
  }

  async #networkFault(random: SimRandom): Promise<void> {
    const ordinals = shuffled(random, [...this.#ring.ordinals]);
    const [victim, other] = ordinals;
    if (victim === undefined || other === undefined) return;
    const draw = random.float();
    const standsMs = between(random, 2_000, 40_000);
    if (draw < 0.15 && isCommandSet('DHT_TEST_NODE_CUT')) {
      this.count('node cut off', `${await this.#ring.cutNodeOf(victim)} with ${this.#ring.podName(victim)}`);
      await this.pause(standsMs);
      await this.#ring.healNodes();
      this.note('node connected again');
      return;
    }
    if (draw < 0.25 && isCommandSet('DHT_TEST_NODE_KILL')) {
      this.count('node powered off', `${await this.#ring.killNodeOf(victim)} with ${this.#ring.podName(victim)}`);
      await this.pause(standsMs);
      await this.#ring.healNodes();
      this.note('node powered on');
      return;
    }
    const cut = chance(random, 0.2) ? [victim, other] : [victim];
    this.count('partition', `of ${cut.map((ordinal) => this.#ring.podName(ordinal)).join(' and ')} by NetworkPolicy`);
    for (const ordinal of cut) await this.#ring.partition(ordinal);
    await this.pause(standsMs);
    await this.#ring.healPartitions();
    this.note('network policies are gone');
  }

  async #memberFault(random: SimRandom): Promise<void> {
    const { replicas } = this.#ring;
    const { replicasMin, replicasMax } = this.#options;
    const draw = random.float();
    if (draw < 0.25) await this.#loseVolume(random);
    else if (draw < 0.75) {
      // One leaver at a time, of a ring that was whole: two killed on their way out take the majority of their arcs along.
      const sizes = Array.from({ length: replicasMax - replicasMin + 1 }, (_, i) => replicasMin + i).filter((size) => size > replicas || size === replicas - 1);
      if (sizes.length === 0) return;
      const size = pick(random, sizes);
      const scale = async (): Promise<void> => {
        this.count('scale', `from ${replicas} to ${size}`);
        await this.#ring.scale(size);
      };
      if (size < replicas) await this.whenWhole('nobody leaves', () => this.#ring.untilWhole(WHOLE_MS_MAX), scale);
      else await scale();
    } else if (draw < 0.9) {
      this.count('rolling restart', '');
      await this.#ring.rollingRestart();
      this.note('rolled out');
    } else {
      const isDrain = chance(random, 0.5);
      if (isDrain) {
        this.count('drain', `of the node of ${this.#ring.podName(0)}`);
        await this.#ring.drainNodeOf(0);
      } else {
        const level = pick(random, ['debug', 'info']);
        this.count('helm upgrade', `log level ${level}`);
        await this.#ring.upgrade(`logging.level=${level}`);
      }
      this.note(isDrain ? 'drained' : 'upgraded');
    }
  }

  async #loseVolume(random: SimRandom): Promise<void> {
    await this.whenWhole('no volume is lost', () => this.#ring.untilWhole(WHOLE_MS_MAX), async () => {
      const victim = pick(random, [...this.#ring.ordinals]);
      this.count('lost volume', `of ${this.#ring.podName(victim)}`);
      await this.#ring.loseVolume(victim);
    });
  }
}
