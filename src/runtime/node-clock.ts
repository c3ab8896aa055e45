/** The Clock door on Node. Delays beyond what one timer can hold are no use to anyone here and are refused. */
import { assert } from '../domain/assert.ts';
import type { MonotonicMs, WallMs } from '../domain/instant.ts';
import type { Clock, Timer } from '../ports/clock.ts';

const DELAY_MS_MAX = 2 ** 31 - 1;

export class NodeClock implements Clock {
  monotonicNow(): MonotonicMs {
    return performance.now() as MonotonicMs;
  }

  wallNow(): WallMs {
    return Date.now() as WallMs;
  }

  after(delayMs: number, fn: () => void): Timer {
    assert(delayMs <= DELAY_MS_MAX, 'a delay fits a timer');
    const timer = setTimeout(fn, delayMs);
    return { cancel: () => clearTimeout(timer) };
  }
}
