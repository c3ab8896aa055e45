/**
 * Lanes of faults side by side: each lets a fault begin, stand for a while and end, then rests. Kinds, victims and times
 * follow from the seed; how far the ring is by then doesn't, so a seed gives the same plan and not the same run.
 *
 * What may only happen to a whole ring without any other fault (the loss of a disk, because that is the promise: any one may
 * be lost at any time, the next one once the copies are complete) asks for calm first: no lane begins a fault meanwhile.
 */
import { between, type SimRandom } from '../../src/sim/sim-random.ts';

const LOOK_MS = 50;

export type Fault = (random: SimRandom) => Promise<void>;

export abstract class FaultLanes {
  readonly counts = new Map<string, number>();
  readonly #random: SimRandom;
  readonly #note: (what: string) => void;
  #isOver = false;
  #isCalm = false;
  #active = 0;

  constructor(random: SimRandom, note: (what: string) => void) {
    this.#random = random;
    this.#note = note;
  }

  /** Runs until `end` is called; then every fault is ended. */
  abstract run(): Promise<void>;

  end(): void {
    this.#isOver = true;
  }

  /** `endsByItself`: calm waits for the end of the lane's faults. The lane that asks for calm is none of these. */
  protected async lane(name: string, restMsMax: number, fault: Fault, endsByItself: boolean): Promise<void> {
    const random = this.#random.fork(name);
    for (;;) {
      await this.pause(between(random, restMsMax / 5, restMsMax));
      while (this.#isCalm && !this.#isOver) await this.pause(LOOK_MS);
      if (this.#isOver) return;
      if (endsByItself) this.#active += 1;
      try {
        await fault(random);
      } finally {
        if (endsByItself) this.#active -= 1;
      }
    }
  }

  /** Holds the other lanes, and acts once no fault is active and nothing lacks a copy; unless that takes too long (`otherwise` says what doesn't happen), or the end comes. */
  protected async whenWhole(otherwise: string, untilWhole: () => Promise<unknown>, act: () => Promise<void>): Promise<void> {
    this.#isCalm = true;
    try {
      while (this.#active > 0 && !this.#isOver) await this.pause(LOOK_MS);
      if (this.#isOver) return;
      const isWhole = await untilWhole().then(() => true, (error: Error) => { this.note(`${otherwise}: ${error.message}`); return false; });
      if (isWhole && !this.#isOver) await act();
    } finally {
      this.#isCalm = false;
    }
  }

  protected count(kind: string, what: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    this.note(`${kind} ${what}`);
  }

  protected note(what: string): void {
    this.#note(what);
  }

  /** Shorter when the end is near. */
  protected async pause(ms: number): Promise<void> {
    const endAt = performance.now() + ms;
    while (performance.now() < endAt && !this.#isOver) await new Promise((resolve) => { setTimeout(resolve, Math.min(LOOK_MS, ms)); });
  }
}
