/**
 * Key queue: at one coordinator the writes of a key run one after the other, so that they don't outbid each other's
 * ballots. Others' coordinators still may; random back-off settles that. Bounded: beyond `waitingMax` a key is refused.
 * Source: protocol section C.4.
 */
export class KeyQueue {
  readonly #waitingMax: number;
  /** Null: one runs and nobody waits. */
  readonly #waiting = new Map<string, (() => void)[] | null>();

  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  /** Runs it now or when its turn comes; it has to end with `leave`. False: too many wait for this key. */
  enter(key: string, run: () => void): boolean {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) {
      this.#waiting.set(key, null);
      run();
      return true;
    }
    if (waiting === null) {
      this.#waiting.set(key, [run]);
      return true;
    }
    if (waiting.length >= this.#waitingMax) return false;
    waiting.push(run);
    return true;
  }

  leave(key: string): void {
    const next = this.#waiting.get(key)?.shift();
    if (next === undefined) this.#waiting.delete(key);
    else next();
  }
}
