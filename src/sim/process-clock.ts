/**
 * The clock of one process: monotonic time counts from its own boot, wall time is off by its machine's skew (which the
 * fault plan may change at any time, forwards and backwards), and its timers die with it.
 */
import type { MonotonicMs, WallMs } from '../domain/instant.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Lifeline } from './lifeline.ts';
import type { SimClock } from './sim-clock.ts';

/** Milliseconds by which a machine's wall clock is wrong. Shared by all lives of a node, changed by the fault plan. */
export interface WallSkew {
  skewMs: number;
}

export class ProcessClock implements Clock {
  readonly #world: SimClock;
  readonly #lifeline: Lifeline;
  readonly #skew: WallSkew;
  readonly #bootMs: number;

  constructor(world: SimClock, lifeline: Lifeline, skew: WallSkew) {
    this.#world = world;
    this.#lifeline = lifeline;
    this.#skew = skew;
    this.#bootMs = world.nowMs();
  }

  monotonicNow(): MonotonicMs {
    return (this.#world.nowMs() - this.#bootMs) as MonotonicMs;
  }

  wallNow(): WallMs {
    return (this.#world.wallNow() + this.#skew.skewMs) as WallMs;
  }

  after(delayMs: number, fn: () => void): Timer {
    const lifeline = this.#lifeline;
    if (lifeline.isDead()) return { cancel: () => {} };
    lifeline.count('timer', 1);
    let isLive = true;
    const settle = (): boolean => {
      if (!isLive) return false;
      isLive = false;
      lifeline.count('timer', -1);
      return true;
    };
    const timer = this.#world.after(delayMs, () => {
      lifeline.deliver(() => {
        if (settle()) fn();
      });
    });
    return {
      cancel: () => {
        if (settle()) timer.cancel();
      },
    };
  }
}
