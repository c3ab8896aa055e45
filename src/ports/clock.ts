/** The only door to time. Monotonic for every time-out; wall time serves version stamps alone. */
import type { MonotonicMs, WallMs } from '../domain/instant.ts';

export interface Timer {
  /** Cancels it; nothing happens when it already ran. */
  cancel(): void;
}

export interface Clock {
  monotonicNow(): MonotonicMs;
  wallNow(): WallMs;
  /** Runs `fn` once after `delayMs`. The caller owns the timer and cancels it when it stops. */
  after(delayMs: number, fn: () => void): Timer;
}
