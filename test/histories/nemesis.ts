/**
 * What goes wrong during a history: lanes of faults for processes, wires and members. A disk is wiped only in calm; as soon as
 * the node is back with an empty disk the other faults go on, so that copies are made again in a bad network.
 */
import { between, chance, pick, shuffled, type SimRandom } from '../../src/sim/sim-random.ts';
import { FaultLanes } from '../support/fault-lanes.ts';
import type { RealNode } from '../support/real-ring.ts';
import type { FaultyRing } from './faulty-ring.ts';
import type { LinkState } from './peer-links.ts';

export interface NemesisOptions {
  /** Members that the ring is kept at, at least and at most. */
  readonly membersMin: number;
  readonly membersMax: number;
}

/** Milliseconds a ring may take to be whole before a wipe; then there is no wipe. */
const WHOLE_MS_MAX = 30_000;
const LEAVE_MS_MAX = 30_000;
const HELD: LinkState = { kind: 'held' };
const OPEN: LinkState = { kind: 'open' };

export class Nemesis extends FaultLanes {
  readonly #ring: FaultyRing;
  readonly #options: NemesisOptions;
  /** Nodes that a lane has its hands on. */
  readonly #taken = new Set<RealNode>();

  constructor(ring: FaultyRing, random: SimRandom, options: NemesisOptions, note: (what: string) => void) {
    super(random, note);
    this.#ring = ring;
    this.#options = options;
  }

  async run(): Promise<void> {
    await Promise.all([
      this.lane('processes', 2_500, (random) => this.#processFault(random), true),
      this.lane('wires', 2_500, (random) => this.#wireFault(random), true),
      this.lane('members', 6_000, (random) => this.#memberFault(random), false),
    ]);
    this.#ring.links.openAll();
  }

  async #processFault(random: SimRandom): Promise<void> {
    const draw = random.float();
    const count = draw < 0.75 ? 1 : draw < 0.93 ? 2 : this.#ring.members.size;
    const victims = shuffled(random, [...this.#ring.members]).filter((node) => node.isRunning && !this.#taken.has(node)).slice(0, count);
    const names = victims.map(({ name }) => name).join(', ');
    if (victims.length === 0) return;
    for (const node of victims) this.#taken.add(node);
    if (chance(random, 0.6)) {
      this.count('SIGKILL', `of ${names}`);
      await Promise.all(victims.map((node) => this.#ring.kill(node)));
      await this.pause(between(random, 0, 6_000));
      this.note(`restart of ${names}`);
      for (const node of victims) this.#ring.start(node);
      await Promise.race([Promise.allSettled(victims.map((node) => this.#ring.untilReady(node))), this.pause(3_000)]);
    } else {
      this.count('SIGSTOP', `of ${names}`);
      for (const node of victims) node.kill('SIGSTOP');
      await this.pause(between(random, 100, 8_000));
      for (const node of victims) node.kill('SIGCONT');
      this.note(`SIGCONT of ${names}`);
    }
    for (const node of victims) this.#taken.delete(node);
  }

  async #wireFault(random: SimRandom): Promise<void> {
    const all = shuffled(random, [...this.#ring.members]);
    const [victim, other] = all;
    if (victim === undefined || other === undefined) return;
    const rest = all.slice(1);
    const { links } = this.#ring;
    const set = (from: readonly RealNode[], to: readonly RealNode[], state: LinkState): void => {
      for (const a of from) for (const b of to) links.set(a.index, b.index, state);
    };
    switch (pick(random, ['cut', 'cut one way', 'pair cut one way', 'partition', 'slow', 'reset'])) {
      case 'cut':
        this.count('cut both ways', victim.name);
        set([victim], rest, HELD);
        set(rest, [victim], HELD);
        break;
      case 'cut one way': {
        const isOutward = chance(random, 0.5);
        this.count('cut one way', isOutward ? `from ${victim.name}` : `to ${victim.name}`);
        set(isOutward ? [victim] : rest, isOutward ? rest : [victim], HELD);
        break;
      }
      case 'pair cut one way':
        this.count('pair cut one way', `${victim.name} to ${other.name}`);
        set([victim], [other], HELD);
        break;
      case 'partition': {
        const few = all.slice(0, Math.floor(all.length / 2));
        const many = all.slice(few.length);
        const state: LinkState = chance(random, 0.5) ? HELD : { kind: 'reset' };
        this.count('partition', `${few.map(({ name }) => name).join(', ')} from the others (${state.kind})`);
        set(few, many, state);
        set(many, few, state);
        break;
      }
      case 'slow': {
        const state: LinkState = { kind: 'slow', delayMs: between(random, 5, 150) };
        this.count('slow', victim.name);
        set([victim], rest, state);
        set(rest, [victim], state);
        break;
      }
      default:
        this.count('reset', `all connections of ${victim.name}`);
        set([victim], rest, { kind: 'reset' });
        set([victim], rest, OPEN);
        return;
    }
    await this.pause(between(random, 300, 7_000));
    links.openAll();
    this.note('links open');
  }

  async #memberFault(random: SimRandom): Promise<void> {
    const { size } = this.#ring.members;
    const { membersMin, membersMax } = this.#options;
    const draw = random.float();
    if (draw < 0.35) await this.#wipe(random);
    else if (size >= membersMax || (size > membersMin && draw < 0.7)) await this.#leave(random);
    else await this.#join();
  }

  async #wipe(random: SimRandom): Promise<void> {
    await this.whenWhole('no wipe', () => this.#ring.untilWhole(WHOLE_MS_MAX), async () => {
      const victim = pick(random, [...this.#ring.members]);
      this.count('wiped disk', victim.name);
      this.#taken.add(victim);
      await this.#ring.kill(victim);
      await this.#ring.wipe(victim);
      await this.pause(between(random, 0, 3_000));
      this.#ring.start(victim);
      this.#taken.delete(victim);
    });
  }

  async #join(): Promise<void> {
    const node = await this.#ring.add();
    this.count('join', node.name);
    this.#taken.add(node);
    await this.#ring.untilReady(node).catch(() => this.note(`${node.name} is not ready yet`));
    this.#taken.delete(node);
  }

  async #leave(random: SimRandom): Promise<void> {
    const [victim] = shuffled(random, [...this.#ring.members].filter((node) => node.isRunning && !this.#taken.has(node)));
    if (victim === undefined) return;
    this.#taken.add(victim);
    this.count('leave', victim.name);
    const hasLeft = await this.#ring.leave(victim, LEAVE_MS_MAX).catch((error: Error) => { this.note(`${victim.name} does not leave: ${error.message}`); return false; });
    this.note(hasLeft ? `${victim.name} has left` : `${victim.name} is still leaving`);
    this.#taken.delete(victim);
  }
}
