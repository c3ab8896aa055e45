/**
 * The timers of running operations. When the node stops, every waiting operation is woken at once and finds that its
 * time is up, so that no timer outlives the node and nobody waits for an answer that never comes.
 */
import type { Clock, Timer } from '../ports/clock.ts';

export class OperationTimers {
  readonly #clock: Clock;
  readonly #waiting = new Map<Timer, () => void>();
  #isStopped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  after(delayMs: number, fn: () => void): Timer {
    const inner = this.#clock.after(this.#isStopped ? 0 : delayMs, () => {
      this.#waiting.delete(timer);
      fn();
    });
    const timer: Timer = {
      cancel: () => {
        this.#waiting.delete(timer);
        inner.cancel();
      },
    };
    this.#waiting.set(timer, fn);
    return timer;
  }

  stop(): void {
    this.#isStopped = true;
    for (const [timer, fn] of [...this.#waiting]) {
      timer.cancel();
      fn();
    }
  }
}
