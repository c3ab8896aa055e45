/**
 * Hybrid logical clock of one node: the clock part of its ballots. Follows wall time, never repeats a value, and jumps
 * ahead of a refused ballot. A refused ballot more than HLC_SKEW_MAX_MS ahead is outbid for its key only and not taken
 * into this clock, so a wild clock costs one retry a key and spreads nowhere.
 *
 * Not durable: PREPARE's strictness makes a ballot used twice harmless (see acceptor.ts).
 * Source: [HLC] "Hybrid Logical Clocks"; protocol rule R2.
 */
import { HLC_STEPS_PER_MS } from '../domain/ballot.ts';
import { HLC_SKEW_MAX_MS } from '../domain/limits.ts';

export class HybridClock {
  #last = 0;

  /** A value above every one before and above `refused` (0: none was refused). */
  next(wallMs: number, refused: number): number {
    const now = Math.floor(wallMs) * HLC_STEPS_PER_MS;
    if (refused <= now + HLC_SKEW_MAX_MS * HLC_STEPS_PER_MS) {
      this.#last = Math.max(now, this.#last + 1, refused + 1);
      return this.#last;
    }
    this.#last = Math.max(now, this.#last + 1);
    return refused + 1;
  }
}
