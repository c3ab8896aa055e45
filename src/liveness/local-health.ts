/**
 * Local health: how much this node distrusts its own measurements.
 *
 * A node whose event loop stalls (garbage collection, CPU quota, a paused container) sees answers late and would accuse
 * healthy peers. It notices its own late timers, raises `awareness` (0 to 8), stretches its time-outs by it and, for one
 * period after a stall, accuses nobody. Each period on time lowers it by one; being accused wrongly raises it too.
 *
 * Rejected: judging by missed answers alone, because a dead neighbour would make a healthy node doubt itself.
 * Source: [Lifeguard] "Local Health Multiplier"; [memberlist] `awareness.go`.
 */
import { elapsedMs, plusMs, type MonotonicMs } from '../domain/instant.ts';

export const AWARENESS_MAX = 8;

export interface LocalHealthOptions {
  /** Milliseconds between two looks at the clock when all is well. */
  readonly tickMs: number;
  /** Milliseconds of a ping round: lateness above half of it makes the round worthless. */
  readonly periodMs: number;
}

export class LocalHealth {
  readonly #options: LocalHealthOptions;
  #awareness = 0;
  #lastTick: MonotonicMs | null = null;
  #calmSince: MonotonicMs | null = null;
  #quietUntil: MonotonicMs | null = null;

  constructor(options: LocalHealthOptions) {
    this.#options = options;
  }

  /** Called at each tick; true: this tick came so late that everything under way is to be judged anew. */
  tick(now: MonotonicMs): boolean {
    const latenessMs = this.#lastTick === null ? 0 : elapsedMs(this.#lastTick, now) - this.#options.tickMs;
    this.#lastTick = now;
    return this.#observe(latenessMs, now);
  }

  /** A sample of the event loop's delay, measured by the shell. Same answer as `tick`. */
  loopDelay(delayMs: number, now: MonotonicMs): boolean {
    return this.#observe(delayMs, now);
  }

  /** Somebody accused this node although it lives: perhaps it answers late. */
  wasAccused(): void {
    this.#awareness = Math.min(AWARENESS_MAX, this.#awareness + 1);
  }

  get awareness(): number {
    return this.#awareness;
  }

  /** What time-outs are multiplied by: 1 to 8. */
  get timeoutFactor(): number {
    return Math.min(AWARENESS_MAX, 1 + this.#awareness);
  }

  /** Whether this node has been on time long enough to accuse others. */
  mayAccuse(now: MonotonicMs): boolean {
    return this.#quietUntil === null || now >= this.#quietUntil;
  }

  #observe(latenessMs: number, now: MonotonicMs): boolean {
    if (latenessMs > this.#options.periodMs / 2) {
      this.#awareness = Math.min(AWARENESS_MAX, this.#awareness + Math.ceil(latenessMs / this.#options.periodMs));
      this.#calmSince = now;
      this.#quietUntil = plusMs(now, this.#options.periodMs);
      return true;
    }
    this.#calmSince ??= now;
    if (elapsedMs(this.#calmSince, now) >= this.#options.periodMs) {
      this.#awareness = Math.max(0, this.#awareness - 1);
      this.#calmSince = now;
    }
    return false;
  }
}
