/**
 * Outcome resolver: after an answer "unknown" the write may lie accepted on a minority and come up days later. So the
 * coordinator goes on in the background, with back-off, until an identity round has chosen one value or the other.
 * Bounded: beyond `pendingMax` names new ones are dropped (a later read or write of the name settles it as well).
 * Source: protocol section C.4.
 */
import type { Clock, Timer } from '../ports/clock.ts';

export interface OutcomeResolverOptions {
  readonly pendingMax: number;
  /** Milliseconds before the first attempt; doubles up to `delayMaxMs`. */
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
}

export class OutcomeResolver {
  readonly #clock: Clock;
  readonly #identityRound: (name: string) => Promise<boolean>;
  readonly #options: OutcomeResolverOptions;
  /** Null: an attempt is running. */
  readonly #pending = new Map<string, Timer | null>();
  #isStopped = false;

  constructor(clock: Clock, identityRound: (name: string) => Promise<boolean>, options: OutcomeResolverOptions) {
    this.#clock = clock;
    this.#identityRound = identityRound;
    this.#options = options;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  add(name: string): void {
    if (this.#isStopped || this.#pending.has(name) || this.#pending.size >= this.#options.pendingMax) return;
    this.#schedule(name, this.#options.delayMinMs);
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#pending.values()) timer?.cancel();
    this.#pending.clear();
  }

  #schedule(name: string, delayMs: number): void {
    this.#pending.set(name, this.#clock.after(delayMs, () => {
      this.#pending.set(name, null);
      void this.#identityRound(name).then((isChosen) => {
        if (this.#isStopped) return;
        if (isChosen) this.#pending.delete(name);
        else this.#schedule(name, Math.min(delayMs * 2, this.#options.delayMaxMs));
      });
    }));
  }
}
