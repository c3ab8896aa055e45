/**
 * Pauses of running transfers. When the node stops every pause ends at once, and whoever waited sees that it is over, so
 * that no timer outlives the node and no transfer waits for an answer that never comes.
 */
import type { Clock, Timer } from '../ports/clock.ts';

export class Pauses {
  readonly clock: Clock;
  readonly #waiting = new Map<Timer, () => void>();
  #isStopped = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Resolves after `delayMs`, or when the node stops: then `isStopped` is true. */
  wait(delayMs: number): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.clock.after(delayMs, () => {
        this.#waiting.delete(timer);
        resolve();
      });
      this.#waiting.set(timer, resolve);
    });
  }

  /** The value of `promise`, or null when it takes longer than `delayMs`. A rejection is passed on. */
  within<T>(promise: Promise<T>, delayMs: number): Promise<T | null> {
    return new Promise((resolve, reject) => {
      const timer = this.clock.after(this.#isStopped ? 0 : delayMs, () => {
        this.#waiting.delete(timer);
        resolve(null);
      });
      const end = (): void => {
        timer.cancel();
        this.#waiting.delete(timer);
      };
      this.#waiting.set(timer, () => { resolve(null); });
      promise.then((value) => { end(); resolve(value); }, (error: unknown) => {
        end();
        reject(error instanceof Error ? error : new Error(String(error)));
      });
    });
  }

  stop(): void {
    this.#isStopped = true;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const [timer, resolve] of waiting) {
      timer.cancel();
      resolve();
    }
  }
}
