/**
 * Body resync: registers whose newest record this replica could not take because their large body couldn't be had in time:
 * it was cut from the fan-out, or the holders went away. Each is tried again with growing pauses: the record is pulled with
 * its body from a quorum of the key's replicas, exactly as catch-up does for a whole arc (ArcPull), here for the one
 * position.
 *
 * The queue is in memory and bounded: what a crash or an overflow forgets is found by the catch-up after the next start or
 * doubt. A name leaves the queue when it was compared with a quorum, or when this node is no replica of it any more.
 * Source: protocol sections C.2 ("cut and repaired later") and D.3, rule R10.
 */
import { DhtError } from '../domain/error-catalogue.ts';
import { ringSize, type Position } from '../domain/ring-position.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import { majorityOf } from '../register/joint-quorum.ts';
import { hasher } from '../ring/hasher.ts';
import { memberById, replicaSets } from '../ring/placement.ts';
import { ArcPull, type ArcPullDeps, type ArcPullOptions, type PullOutcome } from './arc-pull.ts';
import { linearArcs } from './linear-arcs.ts';

export interface BodyResyncDeps extends ArcPullDeps {
  readonly clock: Clock;
}

export interface BodyResyncOptions extends ArcPullOptions {
  /** Names that wait. Higher: more memory; lower: more is left to the next catch-up. */
  readonly pendingMax: number;
  /** Milliseconds before the first attempt; doubles up to `delayMaxMs`. */
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
}

export class BodyResync {
  readonly #deps: BodyResyncDeps;
  readonly #options: BodyResyncOptions;
  /** Null: an attempt is running. */
  readonly #pending = new Map<string, Timer | null>();
  #isStopped = false;

  constructor(deps: BodyResyncDeps, options: BodyResyncOptions) {
    this.#deps = deps;
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
    this.#pending.set(name, this.#deps.clock.after(delayMs, () => {
      this.#pending.set(name, null);
      this.#attempt(name).then((outcome) => {
        if (this.#isStopped) return;
        if (outcome === 'done') this.#pending.delete(name);
        else this.#schedule(name, Math.min(delayMs * 2, this.#options.delayMaxMs));
      }, (error: unknown) => {
        // The store failed: the node ends.
        if (!(error instanceof DhtError)) throw error;
      });
    }));
  }

  async #attempt(name: string): Promise<PullOutcome> {
    const view = this.#deps.views.current();
    if (view === null) return 'failed';
    const { layout, self } = view;
    const position = hasher(name, layout.keyBits);
    const { old, all } = replicaSets(layout, position);
    if (!all.includes(self)) return 'done';
    const sources = old.filter((id) => id !== self)
      .sort((a, b) => Number(view.unreachable.has(a)) - Number(view.unreachable.has(b)))
      .map((nodeId) => ({ nodeId, advertise: memberById(layout, nodeId)?.advertise ?? '' }));
    const needed = majorityOf(old.length) - (old.includes(self) ? 1 : 0);
    const before = (position === 0 ? ringSize(layout.keyBits) - 1 : position - 1) as Position;
    for (const arc of linearArcs({ from: before, to: position }, layout.keyBits)) {
      const outcome = await new ArcPull(this.#deps, this.#options, { epoch: layout.epoch, arc, sources, needed }).run();
      if (outcome !== 'done') return outcome;
    }
    return 'done';
  }
}
