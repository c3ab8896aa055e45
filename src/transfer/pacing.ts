/** A byte pacer with the means to wait: who moved bytes in the background waits here before the next piece. */
import type { BytePacer } from '../domain/byte-pacer.ts';
import type { Pauses } from './pauses.ts';

export class Pacing {
  readonly #pacer: BytePacer;
  readonly #pauses: Pauses;
  readonly #waitMsMax: number;

  /** `waitMsMax`: nobody waits longer at once; what is left of the debt is paid with the next piece. */
  constructor(pacer: BytePacer, pauses: Pauses, waitMsMax: number) {
    this.#pacer = pacer;
    this.#pauses = pauses;
    this.#waitMsMax = waitMsMax;
  }

  /** Bytes a second. */
  get rate(): number {
    return this.#pacer.rate;
  }

  follow(verdict: 'calm' | 'slow'): void {
    const now = this.#pauses.clock.monotonicNow();
    if (verdict === 'slow') this.#pacer.slower(now);
    else this.#pacer.faster(now);
  }

  async spend(bytes: number): Promise<void> {
    if (bytes === 0) return;
    const waitMs = Math.min(this.#pacer.spend(bytes, this.#pauses.clock.monotonicNow()), this.#waitMsMax);
    if (waitMs >= 1) await this.#pauses.wait(waitMs);
  }
}
