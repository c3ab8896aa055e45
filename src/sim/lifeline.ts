/**
 * The thread by which a simulated process hangs. Everything that reaches a process from outside (a timer, bytes, the
 * answer of the disk) comes through its lifeline: while the process is paused it waits, and once the process is dead it
 * is dropped, so that code of a dead process never runs again and can't touch the disk of its successor.
 *
 * The lifeline also counts what the process has open. After an orderly stop all counts must be zero.
 */
import type { SimClock } from './sim-clock.ts';

export type Resource = 'timer' | 'disk operation' | 'dial' | 'open file' | 'directory lock' | 'listener' | 'stream';

export class Lifeline {
  readonly #clock: SimClock;
  readonly #open = new Map<Resource, number>();
  #held: (() => void)[] | null = null;
  #isDead = false;

  constructor(clock: SimClock) {
    this.#clock = clock;
  }

  isDead(): boolean {
    return this.#isDead;
  }

  /** Runs what comes in from outside, later if the process is paused, never if it is dead. */
  deliver(run: () => void): void {
    if (this.#isDead) return;
    if (this.#held === null) run();
    else this.#held.push(run);
  }

  /** What `operation` gives, delivered through the lifeline: a promise that never settles once the process is dead. */
  guard<T>(resource: Resource, operation: () => Promise<T>): Promise<T> {
    if (this.#isDead) return new Promise<T>(() => {});
    this.count(resource, 1);
    return new Promise<T>((resolve, reject) => {
      operation().then(
        (value) => {
          this.deliver(() => {
            this.count(resource, -1);
            resolve(value);
          });
        },
        (error: unknown) => {
          this.deliver(() => {
            this.count(resource, -1);
            reject(error instanceof Error ? error : new Error(String(error)));
          });
        },
      );
    });
  }

  count(resource: Resource, change: 1 | -1): void {
    this.#open.set(resource, (this.#open.get(resource) ?? 0) + change);
  }

  /** What is open now, in words; empty when nothing is. */
  leftovers(): readonly string[] {
    return [...this.#open].filter(([, count]) => count !== 0).map(([resource, count]) => `${count} x ${resource}`);
  }

  pause(): void {
    this.#held ??= [];
  }

  /** What was held comes in now, each as an event of its own, in the order in which it arrived. */
  resume(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const run of held) this.#clock.after(0, () => this.deliver(run));
  }

  cut(): void {
    this.#isDead = true;
    this.#held = null;
  }
}
