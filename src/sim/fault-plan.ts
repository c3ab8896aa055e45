/**
 * What goes wrong in a run, decided from the seed alone before it begins. Each seed switches on a random subset of the
 * faults with random rates (everything at once hides faults: a rule that only matters in a calm ring with one restart
 * is never reached in a storm), but every seed has at least one crash and one change of the layout. On one seed of six
 * joins, leaves and lost disks come in a storm, within a second or two.
 *
 * On some seeds the end is not calm: faults stop for a core majority alone, and the others stay broken in one way or
 * another while the core has to go on (liveness mode).
 * Source: [SwarmTesting] "Swarm testing"; [VOPR] "Liveness"; protocol section H.2 "Faults".
 */
import type { Random } from '../ports/random.ts';
import type { Fault, FaultKind, FileArea, FileOperation } from './fault.ts';
import { FAULT_KINDS } from './fault.ts';
import type { NetworkFaults } from './sim-network.ts';
import { CALM_NETWORK } from './sim-network.ts';
import { between, chance, pick, shuffled } from './sim-random.ts';

export interface PlannedFault {
  /** Milliseconds of virtual time since the ring was up. */
  readonly atMs: number;
  readonly fault: Fault;
}

/** How a node outside the core is while the core has to go on. */
export type Brokenness = 'down' | 'cut off' | 'deaf' | 'mute' | 'standing still' | 'without space';
export const BROKENNESSES: readonly Brokenness[] = ['down', 'cut off', 'deaf', 'mute', 'standing still', 'without space'];

/** Who stays broken at the end, in which way: numbers as those of victims. */
export interface CoreEnd {
  readonly first: number;
  readonly states: readonly Brokenness[];
}

export interface FaultPlan {
  readonly initialNodes: number;
  /** Nobody leaves a ring of so few. */
  readonly membersMin: number;
  readonly durationMs: number;
  /** How bad the network is all the time. */
  readonly network: NetworkFaults;
  readonly faults: readonly PlannedFault[];
  /** Null: everything is well in the end. */
  readonly coreEnd: CoreEnd | null;
  /** A crash and a join happen even if nobody was there for those planned. */
  readonly mayAdd: boolean;
}

export interface FaultPlanOptions {
  /** Members that are down are taken out within a run: without that no node may be gone for good. */
  readonly takesLostOut: boolean;
  readonly initialNodesMin: number;
  readonly initialNodesMax: number;
  readonly durationMs: number;
  /** Faults beside the crash and the layout change that every run has. */
  readonly extraFaultsMax: number;
  /** Share of the runs that end with a core alone. */
  readonly coreEndShare: number;
}

const BODY_FILE_OPERATIONS: readonly FileOperation[] = ['open', 'write', 'sync', 'rename', 'sync-directory', 'remove', 'remove', 'remove'];
const LOG_FILE_OPERATIONS: readonly FileOperation[] = ['write', 'write', 'write', 'sync', 'open', 'sync-directory'];
const FILE_OPERATIONS: readonly FileOperation[] = ['open', 'write', 'write', 'rename', 'sync-directory', 'sync'];
const AREAS: readonly FileArea[] = ['log', 'staging', 'bodies', 'any'];
const STORM_SHARE = 1 / 6;
const STORM_MS = 1500;
const STORM_KINDS: readonly FaultKind[] = ['join', 'join', 'leave', 'leave', 'wipe', 'wipe-moving', 'crash'];

export function faultPlan(random: Random, options: FaultPlanOptions): FaultPlan {
  const { durationMs } = options;
  const initialNodes = options.initialNodesMin + random.below(options.initialNodesMax - options.initialNodesMin + 1);
  const membersMin = Math.min(initialNodes, pick(random, [1, 2, 3, 3, 3]));
  const possible = FAULT_KINDS.filter((kind) => kind !== 'loss' || options.takesLostOut);
  const enabled = shuffled(random, possible).slice(0, 1 + random.below(possible.length));
  const extraCount = random.below(options.extraFaultsMax + 1);
  const kinds: FaultKind[] = ['crash', pick(random, ['join', 'leave'] as const)];
  for (let i = 0; i < extraCount; i++) kinds.push(pick(random, enabled));
  const faults = kinds.map((kind) => ({ atMs: Math.floor(random.float() * durationMs), fault: draw(kind, random) }));
  if (chance(random, STORM_SHARE)) faults.push(...storm(random, durationMs));
  return {
    initialNodes, membersMin, durationMs, network: backgroundNoise(random),
    faults: faults.sort((a, b) => a.atMs - b.atMs),
    coreEnd: chance(random, options.coreEndShare) ? { first: random.below(1000), states: [0, 1, 2].map(() => pick(random, BROKENNESSES)) } : null,
    mayAdd: true,
  };
}

function storm(random: Random, durationMs: number): PlannedFault[] {
  const startMs = random.float() * (durationMs - STORM_MS);
  return Array.from({ length: 3 + random.below(5) }, () => ({
    atMs: Math.floor(startMs + random.float() * STORM_MS), fault: draw(pick(random, STORM_KINDS), random),
  }));
}

/**
 * A third of all runs have a calm network; the others lose, break and split at rates of their own. On a slow one an
 * operation takes half a second, so that faults hit many of them in the middle.
 */
function backgroundNoise(random: Random): NetworkFaults {
  if (chance(random, 0.33)) return CALM_NETWORK;
  const rate = (high: number): number => (chance(random, 0.5) ? random.float() ** 2 * high : 0);
  return {
    ...CALM_NETWORK,
    latencyMaxMs: between(random, 0.5, pick(random, [30, 200])),
    lossProbability: rate(0.05),
    resetProbability: rate(0.005),
    splitProbability: rate(0.3),
  };
}

/** Long enough to be noticed by the detector, or so short that it isn't. */
const spell = (random: Random): number => Math.floor(chance(random, 0.3) ? between(random, 50, 1000) : between(random, 1000, 8000));

/** Of a millisecond's fraction, a message's time, a day: what clocks are wrong by. */
const wrongness = (random: Random): number => Math.floor(between(random, -1, 1) * pick(random, [100, 10_000, 3_600_000, 86_400_000]));

function draw(kind: FaultKind, random: Random): Fault {
  const victim = random.below(1000);
  switch (kind) {
    case 'crash':
    case 'kill':
    case 'wipe':
    case 'wipe-moving':
      return { kind, victim, downMs: spell(random) };
    case 'body-crash':
      return { kind, victim, operation: pick(random, BODY_FILE_OPERATIONS), downMs: spell(random) };
    case 'log-crash':
      return { kind, victim, operation: pick(random, LOG_FILE_OPERATIONS), downMs: spell(random) };
    case 'log-kill':
      return { kind, victim, operation: pick(random, LOG_FILE_OPERATIONS), upMs: Math.floor(between(random, 50, 3000)), downMs: spell(random) };
    case 'crash-all':
      return { kind, downMs: spell(random) };
    case 'absence':
      return { kind, victim, downMs: Math.floor(between(random, 8_000, 25_000)) };
    case 'old-snapshot':
      return { kind, victim, ageMs: Math.floor(between(random, 3000, 8000)), downMs: spell(random) };
    case 'join':
      return { kind };
    case 'loss':
    case 'leave':
    case 'reset':
      return { kind, victim };
    case 'partition':
      return { kind, sides: 1 + random.below(0xfffe), durationMs: spell(random) };
    case 'partial-partition':
      return { kind, links: random.below(2 ** 30) & random.below(2 ** 30), durationMs: spell(random) };
    case 'one-way-cut':
      return { kind, from: victim, to: random.below(1000), durationMs: spell(random) };
    case 'repeat':
      return { kind, victim, lateMs: spell(random) };
    case 'delay-spike':
      return { kind, delayMs: Math.floor(between(random, 20, 1500)), durationMs: spell(random) };
    case 'clock-skew':
      return { kind, victim, skewMs: wrongness(random) };
    case 'clock-jump':
      return { kind, victim, jumpMs: wrongness(random), durationMs: spell(random) };
    case 'slow-disk':
      return { kind, victim, syncMs: Math.floor(between(random, 20, 400)), durationMs: spell(random) };
    case 'disk-error':
    case 'read-error':
      return { kind, victim, area: pick(random, AREAS), skip: random.below(6) };
    case 'staging-error':
      return { kind, victim, operation: pick(random, ['open', 'write', 'write'] as const), code: pick(random, ['EIO', 'ENOSPC'] as const), skip: random.below(6) };
    case 'no-space':
      return { kind, victim, operation: pick(random, FILE_OPERATIONS), area: pick(random, AREAS), skip: random.below(6) };
    case 'disk-full':
      return { kind, victim, freeBytes: Math.floor(random.float() ** 2 * 200_000), durationMs: spell(random) };
    case 'body-rot':
    case 'log-rot':
      return { kind, victim, place: random.below(2 ** 30) };
    case 'pause':
      return { kind, victim, durationMs: spell(random) };
  }
}
