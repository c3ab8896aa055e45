/**
 * The world's time: stands still while code runs and jumps to the next event when all is quiet. Disks, networks, clients
 * and the fault plan live on it directly; every process has a clock of its own on top (process-clock.ts).
 */
import type { MonotonicMs, WallMs } from '../domain/instant.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { EventQueue } from './event-queue.ts';

/**
 * Ticks of a millisecond. Events happen on whole ticks, rounded up, as with a real timer: differences of instants are
 * then exact, and a timer for "what is left until the deadline" is never too early to see that the deadline is over.
 */
const TICKS_PER_MS = 1024;

/** 2026-01-01T00:00Z: where wall time starts in every run. */
export const WALL_START_MS = 1_767_225_600_000;

export class SimClock implements Clock {
  readonly #queue: EventQueue;
  #nowMs = 0;

  constructor(queue: EventQueue) {
    this.#queue = queue;
  }

  /** Virtual milliseconds since the run began. */
  nowMs(): number {
    return this.#nowMs;
  }

  /** Only the simulation moves time. */
  advanceTo(atMs: number): void {
    this.#nowMs = atMs;
  }

  monotonicNow(): MonotonicMs {
    return this.#nowMs as MonotonicMs;
  }

  wallNow(): WallMs {
    return (WALL_START_MS + Math.floor(this.#nowMs)) as WallMs;
  }

  after(delayMs: number, fn: () => void): Timer {
    const atMs = Math.ceil((this.#nowMs + Math.max(0, delayMs)) * TICKS_PER_MS) / TICKS_PER_MS;
    const event = this.#queue.push(atMs, fn);
    return {
      cancel: () => {
        event.run = null;
      },
    };
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, resolve);
    });
  }
}
