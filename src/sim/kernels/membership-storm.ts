/**
 * Membership storm: one seed of the membership kernel. A ring is founded in one of the ways there are; for half a minute
 * nodes crash, return, lose their disks, join, leave, and are cut off, each kind of fault only in some seeds; then all
 * faults stop and everything has to come to its end: joins and leaves done, pointers right, one epoch everywhere.
 *
 * A wiped disk is a node lost for good. As the ring promises to survive one such loss at a time only, the next wipe waits
 * until the last one's successor is a member and the layout is stable.
 */
import type { MembershipEvent } from '../../membership/membership-event.ts';
import { between, chance, pick } from '../sim-random.ts';
import { MembershipKernel } from './membership-kernel.ts';

const STORM_MS = 30_000;
const QUIET_MS = 60_000;
/** Members that are down so long after their suspicion are taken out: some of those that crash, and all that are lost. */
const OUT_AFTER_MS = 1_500;
const NAMES = Array.from({ length: 8 }, (_, i) => `localhost:${7400 + i}`);

export interface StormOutcome {
  /** What is still wrong at the end; empty when all is right. */
  readonly problems: readonly string[];
  readonly counts: { readonly crashes: number; readonly wipes: number; readonly losses: number; readonly joins: number; readonly leaves: number; readonly cuts: number; readonly epochs: number };
}

export function runMembershipStorm(seed: number): StormOutcome {
  return new MembershipStorm(seed).run();
}

class MembershipStorm {
  readonly #kernel: MembershipKernel;
  /** Names that should be members in the end. */
  readonly #wanted = new Set<string>();
  readonly #leaving = new Set<string>();
  readonly #initialNames: readonly string[];
  #wiped: string | null = null;
  /** Gone for good; their names aren't used again. */
  readonly #lost = new Set<string>();
  readonly #counts = { crashes: 0, wipes: 0, losses: 0, joins: 0, leaves: 0, cuts: 0 };

  constructor(seed: number) {
    this.#kernel = new MembershipKernel(seed, {
      ring: { keyBits: 16, replicas: 3, tokensPerNode: 1 + (seed % 3), candidatesPerToken: 2 },
      latencyMs: [0.2, 20], writeMs: [0.2, 30], catchUpMs: [5, 2000], outAfterMs: OUT_AFTER_MS,
    });
    this.#initialNames = NAMES.slice(0, [1, 2, 3, 3, 5][seed % 5]);
  }

  run(): StormOutcome {
    const { random } = this.#kernel;
    this.#found();
    if (chance(random, 0.5)) this.#kernel.faults.lossRate = between(random, 0, 0.2);
    if (chance(random, 0.5)) this.#kernel.faults.doubleRate = 0.1;
    if (chance(random, 0.3)) this.#kernel.faults.slowRate = 0.05;
    const faults = [() => { this.#crash(); }, () => { this.#wipe(); }, () => { this.#lose(); }, () => { this.#join(); }, () => { this.#leave(); }, () => { this.#cut(); }]
      .filter(() => chance(random, 0.6));
    while (this.#kernel.nowMs < STORM_MS && faults.length > 0) {
      this.#kernel.run(this.#kernel.nowMs + between(random, 50, 3000));
      pick(random, faults)();
    }
    this.#calm();
    this.#kernel.run(this.#kernel.nowMs + QUIET_MS, () => this.#problems().length === 0);
    const epochs = Math.max(0, ...this.#members().map((name) => this.#kernel.machine(name).clusterView()?.layout.epoch ?? 0));
    return { problems: this.#problems(), counts: { ...this.#counts, epochs } };
  }

  // ------------------------------------------------------------------------------------------------------- faults

  #found(): void {
    const { random } = this.#kernel;
    for (const name of this.#initialNames) {
      this.#wanted.add(name);
      this.#kernel.at(between(random, 0, 3000), () => { this.#start(name); });
    }
    // A disk may be lost while the ring is being founded: two rings must not arise (A.7). Of two members none can be lost.
    if (this.#initialNames.length > 2 && chance(random, 0.3)) {
      const name = pick(random, this.#initialNames);
      this.#kernel.at(between(random, 0, 5000), () => {
        if (this.#wiped !== null) return;
        this.#kernel.wipe(name);
        this.#wiped = name;
        this.#counts.wipes += 1;
        this.#kernel.at(between(random, 0, 1000), () => { this.#start(name); });
      });
    }
    this.#kernel.run(chance(random, 0.5) ? 6000 : 2000);
  }

  /** As its shell would start it: each node always has the same settings. */
  #start(name: string): void {
    const { random } = this.#kernel;
    if (!this.#wanted.has(name) || this.#kernel.node(name).machine !== null) return;
    const isInitial = this.#initialNames.includes(name);
    const alone: MembershipEvent = { kind: 'found' };
    const seeds = isInitial ? this.#initialNames : [...new Set([...this.#initialNames, pick(random, NAMES)])];
    const join: MembershipEvent = { kind: 'join', seeds, initialNames: isInitial ? this.#initialNames : [], whenMember: 'stay', timeoutMs: null };
    this.#kernel.start(name, this.#initialNames.length === 1 && isInitial && this.#kernel.clusters.size === 0 ? alone : join);
    if (this.#leaving.has(name)) this.#kernel.give(name, { kind: 'leave' });
  }

  #crash(): void {
    const { random } = this.#kernel;
    const all = chance(random, 0.05);
    const name = pick(random, [...this.#wanted]);
    for (const victim of all ? [...this.#wanted] : [name]) {
      this.#kernel.crash(victim);
      this.#counts.crashes += 1;
      this.#kernel.at(between(random, 0, 8000), () => { this.#start(victim); });
    }
  }

  #wipe(): void {
    const { random } = this.#kernel;
    const name = this.#expendable(3);
    if (name === null) return;
    this.#kernel.wipe(name);
    this.#wiped = name;
    this.#counts.wipes += 1;
    this.#kernel.at(between(random, 0, 3000), () => { this.#start(name); });
  }

  /** A node and its disk are gone for good: the others have to take it out. */
  #lose(): void {
    const name = this.#expendable(4);
    // A node that lost its disk looks for the ring at the initial names: another of them than itself has to be left.
    const isSeedLeft = this.#initialNames.filter((other) => other !== name && !this.#lost.has(other)).length >= 2;
    if (name === null || (!isSeedLeft && this.#initialNames.includes(name))) return;
    this.#kernel.wipe(name);
    this.#wanted.delete(name);
    this.#lost.add(name);
    this.#counts.losses += 1;
  }

  /** A member whose disk may be lost now; null: none may. */
  #expendable(membersMin: number): string | null {
    // The only initial name, wiped, would found again: k = 1 doesn't promise more (A.7).
    const isFounderSafe = this.#initialNames.length > 1;
    const members = this.#members();
    const candidates = members.filter((name) => !this.#leaving.has(name) && (isFounderSafe || name !== this.#initialNames[0]));
    if (members.length < membersMin || candidates.length === 0 || this.#problems().length > 0 || !this.#isWhole(this.#wiped)) return null;
    return pick(this.#kernel.random, candidates);
  }

  #join(): void {
    const name = pick(this.#kernel.random, NAMES);
    if (this.#wanted.has(name) || this.#lost.has(name) || this.#kernel.node(name).machine !== null) return;
    this.#wanted.add(name);
    this.#counts.joins += 1;
    this.#start(name);
  }

  #leave(): void {
    // Nobody leaves a ring that has just enough members to replace one that is lost.
    if (this.#lost.size > 0 && this.#wanted.size - this.#leaving.size <= 3) return;
    const candidates = [...this.#wanted].filter((name) => this.#kernel.node(name).outcome.joined && !this.#initialNames.includes(name));
    if (candidates.length === 0) return;
    const name = pick(this.#kernel.random, candidates);
    this.#leaving.add(name);
    this.#counts.leaves += 1;
    this.#kernel.give(name, { kind: 'leave' });
    this.#awaitLeft(name);
  }

  /** A process that has left ends. */
  #awaitLeft(name: string): void {
    this.#kernel.at(50, () => {
      if (!this.#kernel.node(name).outcome.left) {
        this.#awaitLeft(name);
        return;
      }
      this.#leaving.delete(name);
      this.#wanted.delete(name);
      this.#kernel.crash(name);
    });
  }

  #cut(): void {
    const { random } = this.#kernel;
    const [a, b] = [pick(random, NAMES), pick(random, NAMES)];
    this.#counts.cuts += 1;
    if (chance(random, 0.5)) this.#kernel.cuts.add(`${a}>${b}`);
    else for (const other of NAMES) if (other !== a && chance(random, 0.7)) this.#kernel.cut(a, other);
    this.#kernel.at(between(random, 500, 12_000), () => { this.#kernel.cuts.clear(); });
  }

  #calm(): void {
    const { faults, cuts } = this.#kernel;
    faults.lossRate = faults.doubleRate = faults.slowRate = 0;
    cuts.clear();
    for (const name of this.#wanted) this.#start(name);
  }

  // -------------------------------------------------------------------------------------------------------- checks

  #members(): readonly string[] {
    return [...this.#wanted].filter((name) => this.#kernel.node(name).machine !== null);
  }

  #isWhole(name: string | null): boolean {
    return name === null || this.#kernel.node(name).outcome.joined;
  }

  #problems(): readonly string[] {
    const problems = [...this.#leaving].map((name) => `${name} has not left: ${this.#kernel.node(name).machine?.state.detail ?? 'down'}`);
    const staying = [...this.#wanted].filter((name) => !this.#leaving.has(name));
    for (const name of staying) {
      const { machine } = this.#kernel.node(name);
      if (machine?.state.kind !== 'member') problems.push(`${name} is ${machine?.state.kind ?? 'down'}: ${machine?.state.detail ?? ''}`);
      else if (machine.clusterView()?.layout.phase !== 'stable') problems.push(`${name} sees a move`);
    }
    for (const name of this.#lost) {
      const keeper = staying.find((other) => this.#kernel.node(other).machine?.clusterView()?.layout.members.some((member) => member.name === name));
      if (keeper !== undefined) problems.push(`${keeper} still has ${name}, which is gone for good, as a member`);
    }
    if (problems.length === 0) problems.push(...this.#kernel.wrongPointers(staying));
    if (this.#kernel.clusters.size > 1) problems.push(`I2: ${this.#kernel.clusters.size} clusters`);
    return problems;
  }
}
