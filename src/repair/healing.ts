/**
 * Healing: makes registers whole again of which this replica can't read the record, or no longer has the body.
 *
 * Such a register isn't forgotten: its promise and its accepted ballot are in the index, so the replica refuses what it has to
 * refuse. It only can't say what it accepted, and therefore answers no PREPARE and no READ of it: never "no value". An identity
 * round on the name is all that is needed. A quorum of the others shows the highest value, it is chosen again above every
 * promise, and this replica's ACCEPT takes the whole record and, by rule R6, has to have the body first.
 *
 *   rotten --identity round--> looked at again, past the caches: whole | rotten: again, with growing pauses
 *
 * A value that only this replica had accepted was never chosen, and may go. The queue is bounded: what it forgets the scrub
 * finds again. Source: protocol section D.3; rules R5, R6, R8, R16; [Amnesia17].
 */
import { DhtError } from '../domain/error-catalogue.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';

export interface HealingDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Null: nothing of that key is here any more. */
  readonly nameOf: (key: ObjectKey) => Promise<string | null>;
  readonly isWhole: (key: ObjectKey) => Promise<boolean>;
  readonly identityRound: (name: string) => Promise<boolean>;
  readonly onHealed: () => void;
  /** Nothing waits any more. */
  readonly onAllWhole: () => void;
}

export interface HealingOptions {
  /** Registers that wait. */
  readonly pendingMax: number;
  /** Milliseconds before the first attempt; doubles up to `delayMaxMs`. */
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
}

export class Healing {
  readonly #deps: HealingDeps;
  readonly #options: HealingOptions;
  /** Null: an attempt is running. */
  readonly #pending = new Map<ObjectKey, Timer | null>();
  #isStopped = false;

  constructor(deps: HealingDeps, options: HealingOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  add(key: ObjectKey): void {
    if (this.#isStopped || this.#pending.has(key) || this.#pending.size >= this.#options.pendingMax) return;
    this.#schedule(key, this.#options.delayMinMs);
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#pending.values()) timer?.cancel();
    this.#pending.clear();
  }

  #schedule(key: ObjectKey, delayMs: number): void {
    this.#pending.set(key, this.#deps.clock.after(delayMs, () => {
      this.#pending.set(key, null);
      void this.#attempt(key).then((isWhole) => {
        if (this.#isStopped) return;
        if (isWhole) this.#done(key);
        else this.#schedule(key, Math.min(delayMs * 2, this.#options.delayMaxMs));
      });
    }));
  }

  #done(key: ObjectKey): void {
    this.#pending.delete(key);
    if (this.#pending.size === 0) this.#deps.onAllWhole();
  }

  /** Never rejects with an error of the store: it has told its owner, who ends the node. */
  async #attempt(key: ObjectKey): Promise<boolean> {
    const { nameOf, isWhole, identityRound, log, onHealed } = this.#deps;
    try {
      if (await isWhole(key)) return true;
      const name = await nameOf(key);
      if (name === null || this.#isStopped) return true;
      await identityRound(name);
      if (this.#isStopped || !(await isWhole(key))) return false;
      log.info('a damaged object is whole again', { key });
      onHealed();
      return true;
    } catch (error) {
      if (error instanceof DhtError) return false;
      log.warn('a damaged object could not be read', { key, error: String(error) });
      return false;
    }
  }
}
