/**
 * Background work gives way to clients: once a second the latency of client operations at this node says whether it may go
 * faster or has to go slower, and all pacers follow.
 * Source: protocol section E (3).
 */
import type { ClientLatency } from '../domain/client-latency.ts';
import type { Pacing } from './pacing.ts';

export class Background {
  readonly #pacings: readonly Pacing[];
  readonly #latency: ClientLatency;

  constructor(pacings: readonly Pacing[], latency: ClientLatency) {
    this.#pacings = pacings;
    this.#latency = latency;
  }

  /** Bytes a second that one direction may move now. */
  get rate(): number {
    return this.#pacings[0]?.rate ?? 0;
  }

  /** A client's operation took so long. */
  clientWaited(durationMs: number): void {
    this.#latency.add(durationMs);
  }

  /** Once a second. */
  adjust(): void {
    const verdict = this.#latency.judge();
    for (const pacing of this.#pacings) pacing.follow(verdict);
  }
}
