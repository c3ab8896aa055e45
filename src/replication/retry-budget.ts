/**
 * Retry budget: how often the operations of this node may begin a round again. Retries are the load that grows when
 * the replicas can bear it least: each failed round asks all of them once more. So retries are held to a share of the
 * operations that succeeded, plus a constant rate, by which a quiet node can always try again.
 *
 *   tokens:  + share for each success, + perSecond with time, at most burst;  - 1 for each retry
 *   below 0: the retry takes the token that comes next, and waits until it is there, at most waitMsMax
 *
 * Invariant: over budget an operation waits, and never fails for it; it ends by its own deadline. Beyond `waitMsMax` the
 * budget is exceeded rather than the wait, so the rate is bounded by the operations in work over that wait.
 * Cost: an addition for each success. Rejected: a budget for each replica (a round asks all of them at once); to fail at
 * once when over budget (an answer "not applied" makes the client retry, which costs more).
 * Source: protocol section D.5.
 */
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';

export interface RetryBudgetOptions {
  /** Retries that one success pays for. */
  readonly share: number;
  /** Retries a second that need no success. Higher: contended names go on quickly on a failing ring; lower: less load there. */
  readonly perSecond: number;
  /** Retries saved up at most: what a sudden fault may cost at once. */
  readonly burst: number;
  /** Milliseconds that a retry waits for its token at most. */
  readonly waitMsMax: number;
}

export class RetryBudget {
  readonly #options: RetryBudgetOptions;
  #tokens: number;
  #filledAt: MonotonicMs;

  constructor(now: MonotonicMs, options: RetryBudgetOptions) {
    this.#options = options;
    this.#tokens = options.burst;
    this.#filledAt = now;
  }

  succeeded(): void {
    this.#tokens = Math.min(this.#options.burst, this.#tokens + this.#options.share);
  }

  /** Milliseconds that one more retry has to wait before its back-off. */
  take(now: MonotonicMs): number {
    const { perSecond, burst, waitMsMax } = this.#options;
    const earned = Math.max(0, elapsedMs(this.#filledAt, now)) * perSecond / 1_000;
    this.#filledAt = now;
    const debtMax = waitMsMax * perSecond / 1_000;
    this.#tokens = Math.max(Math.min(burst, this.#tokens + earned) - 1, -debtMax);
    return this.#tokens >= 0 ? 0 : -this.#tokens * 1_000 / perSecond;
  }
}
