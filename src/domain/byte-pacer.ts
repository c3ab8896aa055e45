/**
 * Byte pacer: how fast background work may move bytes. A token bucket whose rate gives way to clients: `slower` halves it,
 * `faster` gives back a part, never below `rateMin` (repair that stands still is a second failure away from a loss) and never
 * above `rateMax`. Work is done first and paid for afterwards: who spends gets to know how long to wait before the next piece,
 * so that no piece is too large to be paid.
 *
 * Pure: time comes in. One pacer for each direction of each kind of work that shouldn't starve another.
 * Cost: two additions for each piece.
 * Source: protocol section E (3).
 */
import { elapsedMs, type MonotonicMs } from './instant.ts';

export interface BytePacerOptions {
  /** Bytes a second, at least and at most. */
  readonly rateMin: number;
  readonly rateMax: number;
  /** Bytes that may pass at once after a rest. Higher: short work isn't delayed at all; lower: smoother. */
  readonly burstBytes: number;
}

/** Of the way up, in one step: from the lowest to the highest rate in a quarter of a minute. */
const FASTER_SHARE = 1 / 16;

export class BytePacer {
  readonly #options: BytePacerOptions;
  #rate: number;
  /** Bytes that may pass now; below 0: a debt. */
  #credit: number;
  #at: MonotonicMs;

  constructor(options: BytePacerOptions, now: MonotonicMs) {
    this.#options = options;
    this.#rate = options.rateMax;
    this.#credit = options.burstBytes;
    this.#at = now;
  }

  /** Bytes a second. */
  get rate(): number {
    return this.#rate;
  }

  /** Books the bytes; milliseconds to wait before the next piece. */
  spend(bytes: number, now: MonotonicMs): number {
    this.#settle(now);
    this.#credit -= bytes;
    return this.#credit >= 0 ? 0 : (-this.#credit / this.#rate) * 1000;
  }

  /** Clients wait noticeably longer. */
  slower(now: MonotonicMs): void {
    this.#settle(now);
    this.#rate = Math.max(this.#options.rateMin, this.#rate / 2);
  }

  /** They don't. */
  faster(now: MonotonicMs): void {
    this.#settle(now);
    const { rateMin, rateMax } = this.#options;
    this.#rate = Math.min(rateMax, this.#rate + (rateMax - rateMin) * FASTER_SHARE);
  }

  #settle(now: MonotonicMs): void {
    this.#credit = Math.min(this.#options.burstBytes, this.#credit + (elapsedMs(this.#at, now) / 1000) * this.#rate);
    this.#at = now;
  }
}
