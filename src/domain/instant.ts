/**
 * Two clocks that never mix. Monotonic time measures how long something took and drives every time-out; wall time
 * only stamps versions (Last-Modified, the clock part of a ballot). Brands make handing one for the other a compile
 * error; arithmetic erases a number's brand, so instants are compared through these functions.
 */
import type { Brand } from './ids.ts';

/** Milliseconds since some start of this process; never goes back. */
export type MonotonicMs = Brand<number, 'MonotonicMs'>;
/** Milliseconds since 1970-01-01T00:00Z as this machine believes; may jump. */
export type WallMs = Brand<number, 'WallMs'>;

export function elapsedMs(from: MonotonicMs, to: MonotonicMs): number {
  return to - from;
}

export function plusMs(instant: MonotonicMs, deltaMs: number): MonotonicMs {
  return (instant + deltaMs) as MonotonicMs;
}

export function isAtOrAfter(instant: MonotonicMs, deadline: MonotonicMs): boolean {
  return instant >= deadline;
}
