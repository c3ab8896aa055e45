/**
 * The language of scenarios: what is done to a ring that is whole and under load, and what must be true beyond what the
 * oracle asks of every run. Written once, for every driver that has the capabilities.
 */
import type { Availability } from './probe.ts';
import type { SimRandom } from '../../src/sim/sim-random.ts';
import type { Capability, ChaosRing } from './chaos-ring.ts';

export interface Stage {
  readonly random: SimRandom;
  /** An action, for the timeline. */
  note(what: string): void;
  /** A figure, for the report. */
  say(what: string): void;
  /** Something isn't as promised. */
  fail(what: string): void;
  /** Something took longer, or was refused more often, than it should: wrong, unless the machine is known to be too busy for such limits. */
  late(what: string): void;
  /** While it lasts, a client without patience asks the Service; its figures go to the report. */
  observe(what: string, act: () => Promise<void>, limits?: AvailabilityLimits): Promise<Availability>;
  pause(ms: number): Promise<void>;
}

/** What a client without patience may be refused; null: as much as it is. */
export interface AvailabilityLimits {
  readonly failedShareMax: number | null;
  readonly gapMsMax: number | null;
}

/** While failures leave every quorum: what is promised, with room for a busy machine. */
export const LOOSE: AvailabilityLimits = { failedShareMax: 0.1, gapMsMax: 10_000 };
/** As promised, on a machine that does nothing else. */
export const PROMISED: AvailabilityLimits = { failedShareMax: 0.01, gapMsMax: 5_000 };
export const UNLIMITED: AvailabilityLimits = { failedShareMax: null, gapMsMax: null };

export interface Scenario {
  /** As in the README's table. */
  readonly number: number;
  readonly name: string;
  /** What it shows, in one sentence. */
  readonly about: string;
  readonly replicas: number;
  readonly needs: readonly Capability[];
  /** Part of the short set that every push runs. */
  readonly isShort?: boolean;
  /** Exit codes of nodes that it makes end by themselves: 0 of one that finishes its leave though it is wanted again. */
  readonly mayExitWith?: readonly number[];
  readonly steps: (ring: ChaosRing, stage: Stage) => Promise<void>;
}
