/**
 * What goes wrong in a run, decided from the seed alone before it begins. Each seed switches on a random subset of the
 * faults with random rates (everything at once hides faults: a rule that only matters in a calm ring with one restart
 * is never reached in a storm), but every seed has at least one crash and one change of the layout.
 *
 * The plan names victims by a number that is taken modulo the nodes there are when its time comes, so a plan is a value
 * that can be printed, shortened and replayed.
 * Source: [SwarmTesting] "Swarm testing"; protocol section H.2 "Faults".
 */
import type { Random } from '../ports/random.ts';
import type { NetworkFaults } from './sim-network.ts';
import { CALM_NETWORK } from './sim-network.ts';
import { between, chance, pick, shuffled } from './sim-random.ts';

/** What happens to the files of large bodies. */
export type BodyFileOperation = 'open' | 'write' | 'sync' | 'rename' | 'sync-directory' | 'remove';
const BODY_FILE_OPERATIONS: readonly BodyFileOperation[] = ['open', 'write', 'sync', 'rename', 'sync-directory', 'remove', 'remove', 'remove'];

export type Fault =
  /** Power fails at one node; it comes back after a while. */
  | { readonly kind: 'crash'; readonly victim: number; readonly downMs: number }
  /** The same, right after its disk did something to the file of a large body: the moments between file and record. */
  | { readonly kind: 'body-crash'; readonly victim: number; readonly operation: BodyFileOperation; readonly downMs: number }
  /** Power fails everywhere. */
  | { readonly kind: 'crash-all'; readonly downMs: number }
  /** One node loses its disk and comes back empty. Waits until earlier losses are repaired. */
  | { readonly kind: 'wipe'; readonly victim: number; readonly downMs: number }
  /** One node with its disk is gone for good: the ring has to take it out by itself. Waits like a wipe. */
  | { readonly kind: 'loss'; readonly victim: number }
  /** Power fails at one node for so long that it may be taken out; then it comes back with its disk. */
  | { readonly kind: 'absence'; readonly victim: number; readonly downMs: number }
  | { readonly kind: 'join' }
  | { readonly kind: 'leave'; readonly victim: number }
  /** Nodes are on two sides; `sides` has a bit for each. */
  | { readonly kind: 'partition'; readonly sides: number; readonly durationMs: number }
  | { readonly kind: 'one-way-cut'; readonly from: number; readonly to: number; readonly durationMs: number }
  /** All connections of one node break. */
  | { readonly kind: 'reset'; readonly victim: number }
  | { readonly kind: 'delay-spike'; readonly delayMs: number; readonly durationMs: number }
  | { readonly kind: 'clock-skew'; readonly victim: number; readonly skewMs: number }
  | { readonly kind: 'slow-disk'; readonly victim: number; readonly syncMs: number; readonly durationMs: number }
  /** A sync fails: the process ends by itself. */
  | { readonly kind: 'disk-error'; readonly victim: number }
  /** Writing the file of a large body fails: that replica has to do without. */
  | { readonly kind: 'staging-error'; readonly victim: number; readonly operation: 'open' | 'write'; readonly code: 'EIO' | 'ENOSPC'; readonly skip: number }
  /** The process stands still: a stopped container, a long collection. */
  | { readonly kind: 'pause'; readonly victim: number; readonly durationMs: number };

export type FaultKind = Fault['kind'];

export const FAULT_KINDS: readonly FaultKind[] = [
  'crash', 'body-crash', 'crash-all', 'wipe', 'join', 'leave', 'partition', 'one-way-cut', 'reset', 'delay-spike', 'clock-skew', 'slow-disk', 'disk-error', 'staging-error', 'pause', 'loss', 'absence',
];

export interface PlannedFault {
  /** Milliseconds of virtual time since the ring was up. */
  readonly atMs: number;
  readonly fault: Fault;
}

export interface FaultPlan {
  readonly initialNodes: number;
  /** Nobody leaves a ring of so few. */
  readonly membersMin: number;
  readonly durationMs: number;
  /** How bad the network is all the time. */
  readonly network: NetworkFaults;
  readonly faults: readonly PlannedFault[];
}

export interface FaultPlanOptions {
  /** Members that are down are taken out within a run: without that no node may be gone for good. */
  readonly takesLostOut: boolean;
  readonly initialNodesMin: number;
  readonly initialNodesMax: number;
  readonly durationMs: number;
  /** Faults beside the crash and the layout change that every run has. */
  readonly extraFaultsMax: number;
}

export function faultPlan(random: Random, options: FaultPlanOptions): FaultPlan {
  const initialNodes = options.initialNodesMin + random.below(options.initialNodesMax - options.initialNodesMin + 1);
  const membersMin = Math.min(initialNodes, pick(random, [1, 2, 3, 3, 3]));
  const possible = FAULT_KINDS.filter((kind) => kind !== 'loss' || options.takesLostOut);
  const enabled = shuffled(random, possible).slice(0, 1 + random.below(possible.length));
  const extraCount = random.below(options.extraFaultsMax + 1);
  const kinds: FaultKind[] = ['crash', pick(random, ['join', 'leave'] as const)];
  for (let i = 0; i < extraCount; i++) kinds.push(pick(random, enabled));
  const faults = kinds
    .map((kind) => ({ atMs: Math.floor(random.float() * options.durationMs), fault: draw(kind, random) }))
    .sort((a, b) => a.atMs - b.atMs);
  return { initialNodes, membersMin, durationMs: options.durationMs, network: backgroundNoise(random), faults };
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

function draw(kind: FaultKind, random: Random): Fault {
  const victim = random.below(1000);
  switch (kind) {
    case 'crash':
    case 'wipe':
      return { kind, victim, downMs: spell(random) };
    case 'body-crash':
      return { kind, victim, operation: pick(random, BODY_FILE_OPERATIONS), downMs: spell(random) };
    case 'crash-all':
      return { kind, downMs: spell(random) };
    case 'absence':
      return { kind, victim, downMs: Math.floor(between(random, 8_000, 25_000)) };
    case 'join':
      return { kind };
    case 'loss':
    case 'leave':
    case 'disk-error':
    case 'reset':
      return { kind, victim };
    case 'partition':
      return { kind, sides: 1 + random.below(0xfffe), durationMs: spell(random) };
    case 'one-way-cut':
      return { kind, from: victim, to: random.below(1000), durationMs: spell(random) };
    case 'delay-spike':
      return { kind, delayMs: Math.floor(between(random, 20, 1500)), durationMs: spell(random) };
    case 'clock-skew':
      return { kind, victim, skewMs: Math.floor(between(random, -1, 1) * pick(random, [100, 10_000, 3_600_000])) };
    case 'slow-disk':
      return { kind, victim, syncMs: Math.floor(between(random, 20, 400)), durationMs: spell(random) };
    case 'staging-error':
      return { kind, victim, operation: pick(random, ['open', 'write', 'write'] as const), code: pick(random, ['EIO', 'ENOSPC'] as const), skip: random.below(6) };
    case 'pause':
      return { kind, victim, durationMs: spell(random) };
  }
}

export function faultText(fault: Fault): string {
  const { kind, ...fields } = fault;
  return [kind, ...Object.entries(fields).map(([name, value]) => `${name}=${String(value)}`)].join(' ');
}
