/**
 * Faults that take away what a disk held. They obey the one promise that bounds them: at most one disk of a replica set
 * may be missing or wrong before the ring has repaired it (two lost disks may lose data, and we promise no more). So a
 * loss waits until the ring is whole, all nodes serve in one layout, and the loss before it is repaired. A body that rotted is
 * when it is there again; a segment that rotted never is, so that no loss follows it.
 *
 * A restored snapshot obeys one more: what was acknowledged since must be known to others than the node itself (rule R16
 * names the exception), so the disk is set back only when the ring has rested for a while and the log had grown before.
 */
import type { FaultOf } from './fault.ts';
import type { SimCluster } from './sim-cluster.ts';
import type { DiskSnapshot } from './sim-disk.ts';
import { SEGMENT_SUFFIX } from './sim-disk.ts';
import type { SimNode } from './sim-node.ts';
import type { Simulation } from './simulation.ts';

/** Members of a ring that survives the loss of a disk: with two, one lost disk is half of every replica set. */
const MEMBERS_FOR_LOSS = 3;
/** Virtual milliseconds that the loss of a disk waits for its moment; then it doesn't happen. */
const REST_WAIT_MS = 15_000;
/** Virtual milliseconds within which every peer has heard of a node's log position and remembers it durably. */
const HEARD_MS = 4000;
/** Members of a ring that can do without one for good: those left still have n copies. */
const MEMBERS_FOR_LOSS_FOR_GOOD = 4;
/** Virtual milliseconds until a node that is gone for good is out of the ring, at most, when nothing else is wrong. */
const LOSS_WAIT_MS = 30_000;
const POLL_MS = 100;

export interface DiskLossesDeps {
  readonly sim: Simulation;
  readonly cluster: SimCluster;
  readonly upNode: (number: number) => SimNode | null;
  readonly isFinished: () => boolean;
  readonly sleep: (delayMs: number) => Promise<unknown>;
}

type Loss = FaultOf<'wipe' | 'wipe-moving' | 'old-snapshot' | 'body-rot' | 'log-rot' | 'loss'>;

export class DiskLosses {
  readonly #deps: DiskLossesDeps;
  #isMissing = false;
  /** What rotted is whole again; until then it may be a copy that only one more disk has. */
  #isMended: () => boolean = () => true;

  constructor(deps: DiskLossesDeps) {
    this.#deps = deps;
  }

  /** A disk is missing that the ring hasn't replaced yet. */
  isMissing(): boolean {
    return this.#isMissing;
  }

  /** False: its moment didn't come. */
  async cause(fault: Loss, note: (node: SimNode) => void): Promise<boolean> {
    switch (fault.kind) {
      case 'wipe':
        return await this.#lose(() => this.#isWhole(), fault.victim, note, (node) => this.#wipe(node, fault.downMs));
      case 'wipe-moving':
        return await this.#lose(() => this.#isMoving(), fault.victim, note, (node) => this.#wipe(node, fault.downMs));
      case 'old-snapshot':
        return await this.#setBack(fault, note);
      case 'body-rot':
        return await this.#lose(() => this.#isWhole(), fault.victim, note, (node) => this.#rot(node, fault.place));
      case 'log-rot':
        return await this.#rotLog(fault, note);
      case 'loss': {
        const isMoment = (): boolean => this.#isWhole() && this.#deps.cluster.nodes().length >= MEMBERS_FOR_LOSS_FOR_GOOD;
        return await this.#lose(isMoment, fault.victim, note, (node) => {
          node.lose();
          return Promise.resolve(true);
        });
      }
    }
  }

  async #lose(isMoment: () => boolean, victim: number, note: (node: SimNode) => void, lose: (node: SimNode) => Promise<boolean>): Promise<boolean> {
    const { sim, cluster, upNode, isFinished } = this.#deps;
    if (!(await sim.waitUntil(() => isFinished() || isMoment(), REST_WAIT_MS, POLL_MS)) || isFinished()) return false;
    const node = upNode(victim);
    if (node === null) return false;
    note(node);
    this.#isMissing = true;
    const happened = await lose(node);
    const isRepaired = (): boolean => cluster.isQuiet() && this.#isMended();
    await sim.waitUntil(() => isFinished() || isRepaired(), LOSS_WAIT_MS, POLL_MS);
    this.#isMissing = !isRepaired();
    return happened;
  }

  async #wipe(node: SimNode, downMs: number): Promise<boolean> {
    node.wipe(this.#others(node));
    await this.#deps.sleep(downMs);
    node.start();
    return true;
  }

  async #setBack({ victim, ageMs, downMs }: FaultOf<'old-snapshot'>, note: (node: SimNode) => void): Promise<boolean> {
    const { sim, upNode, sleep, isFinished } = this.#deps;
    if (!(await sim.waitUntil(() => isFinished() || this.#isWhole(), REST_WAIT_MS, POLL_MS)) || isFinished()) return false;
    const node = upNode(victim);
    const before = node?.program() ?? null;
    if (node === null || before === null) return false;
    const snapshot: DiskSnapshot = node.disk.takeSnapshot();
    const { nodeId } = before.service.view();
    const snapshotAt = before.logPosition();
    await sleep(ageMs);
    const grown = node.program()?.logPosition() ?? 0;
    if (!(await this.#restsUntilHeard(node, nodeId)) || isFinished() || grown <= snapshotAt) return false;
    return await this.#lose(() => this.#isWhole(), victim, note, async (current) => {
      if (current !== node) return false;
      node.restore(snapshot, this.#others(node));
      await sleep(downMs);
      node.start();
      return true;
    });
  }

  /** Waits until the others have heard of the log position that the node has now; false: the ring didn't rest meanwhile. */
  async #restsUntilHeard(node: SimNode, nodeId: string): Promise<boolean> {
    for (let waitedMs = 0; waitedMs < HEARD_MS; waitedMs += POLL_MS) {
      await this.#deps.sleep(POLL_MS);
      if (!this.#isWhole() || node.program()?.service.view().nodeId !== nodeId) return false;
    }
    return true;
  }

  /** One bit of what a segment has held for a while: later records may be known to this disk alone, as those of a snapshot. */
  async #rotLog({ victim, place }: FaultOf<'log-rot'>, note: (node: SimNode) => void): Promise<boolean> {
    const { sim, upNode, isFinished } = this.#deps;
    if (!(await sim.waitUntil(() => isFinished() || this.#isWhole(), REST_WAIT_MS, POLL_MS)) || isFinished()) return false;
    const node = upNode(victim);
    const nodeId = node?.knownId() ?? null;
    if (node === null || nodeId === null) return false;
    const segments = node.disk.files().filter(([path, bytes]) => path.endsWith(SEGMENT_SUFFIX) && bytes > 0);
    const found = segments[place % Math.max(1, segments.length)];
    if (found === undefined || !(await this.#restsUntilHeard(node, nodeId)) || isFinished()) return false;
    const [path, bytes] = found;
    return await this.#lose(() => this.#isWhole(), victim, note, (current) => {
      if (current !== node || !node.disk.files().some(([other]) => other === path)) return Promise.resolve(false);
      this.#flip(node, path, place % bytes, place % 8);
      return Promise.resolve(true);
    });
  }

  /** One bit of one body's file. */
  #rot(node: SimNode, place: number): Promise<boolean> {
    const bodies = node.disk.files().filter(([path, bytes]) => path.includes('/bodies/') && bytes > 0);
    const found = bodies[place % Math.max(1, bodies.length)];
    if (found === undefined) return Promise.resolve(false);
    const [path, bytes] = found;
    this.#flip(node, path, place % bytes, place % 8);
    return Promise.resolve(true);
  }

  #flip(node: SimNode, path: string, position: number, bit: number): void {
    this.#deps.sim.note(node.name, `a bit of ${path} flips`);
    node.disk.flipBit(path, position, bit);
    this.#isMended = () => node.disk.isMended(path);
  }

  #others(node: SimNode): readonly string[] {
    return this.#deps.cluster.nodes().filter((other) => other !== node).map(({ name }) => name);
  }

  #isWhole(): boolean {
    const { cluster } = this.#deps;
    return !this.#isMissing && cluster.nodes().length >= MEMBERS_FOR_LOSS && cluster.isQuiet();
  }

  /** Every node is up and answers; the layout moves from at least three members to at least three: a ring of two has one voter, whose disk only an operator can replace. */
  #isMoving(): boolean {
    const { cluster } = this.#deps;
    if (this.#isMissing) return false;
    const nodes = cluster.nodes();
    const layouts = cluster.programs().flatMap((program) => program.layout() ?? []);
    const first = layouts[0];
    if (first === undefined || layouts.length !== nodes.length || first.phase !== 'moving') return false;
    const isEach = layouts.every(({ epoch }) => epoch === first.epoch) && cluster.views().every(({ state }) => state === 'serving');
    return isEach && first.arcs.every((arc) => Math.min(arc.old.length, arc.new.length) >= MEMBERS_FOR_LOSS);
  }
}
