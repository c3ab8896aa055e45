/**
 * Layout keeper: the newest layout durable here, the acceptor's slot that belongs to it, and the change to a newer one.
 *
 * ```
 *   settled --newer layout shown--> changing --durable--> settled, slot empty, waiting work runs
 * ```
 * While it changes nothing may look at the slot (A.4, 1), so work that needs the layout waits; it is bounded. Of several
 * newer layouts shown meanwhile only the newest is kept: those between aren't needed.
 * Invariant I1: the epoch never goes back, except that a ring of one may be given up as a whole.
 */
import { assertNever } from '../domain/assert.ts';
import type { NodeId } from '../domain/ids.ts';
import type { MonotonicMs } from '../domain/instant.ts';
import type { Layout } from '../domain/layout.ts';
import { adoption, isNewer } from '../layout/adoption.ts';
import { EMPTY_SLOT, type LayoutSlot } from '../layout/chain-acceptor.ts';
import { descentOf } from '../layout/descent.ts';
import { memberById } from '../ring/placement.ts';
import type { Exchange } from './exchange.ts';

/** Requests that wait for a layout to become durable, at most. */
const WAITING_MAX = 1000;

export interface LayoutKeeperDeps {
  readonly self: NodeId;
  readonly exchange: Exchange;
  /** Whether this node without a layout takes its first one from this sender (A.7, 3); null: nobody in particular. */
  readonly mayTakeFirst: (layout: Layout, from: NodeId | null) => boolean;
  /** Whether a layout that came out of a recovery is taken, by a node that has `present`. */
  readonly mayTakeRecovered: (shown: Layout, present: Layout) => boolean;
  /** A layout was shown that neither follows the present one nor came before it. */
  readonly onForked: (shown: Layout) => void;
  /** A newer layout is durable, or (null) the ring of one was given up. */
  readonly onChanged: (layout: Layout | null, now: MonotonicMs) => void;
}

export class LayoutKeeper {
  readonly #deps: LayoutKeeperDeps;
  #layout: Layout | null;
  #slot: LayoutSlot;
  #changingTo: Layout | 'nothing' | null = null;
  #next: Layout | null = null;
  #waiting: ((now: MonotonicMs) => void)[] = [];
  #since: MonotonicMs;

  constructor(deps: LayoutKeeperDeps, layout: Layout | null, slot: LayoutSlot, now: MonotonicMs) {
    this.#deps = deps;
    this.#since = now;
    this.#layout = layout;
    this.#slot = slot;
  }

  get layout(): Layout | null {
    return this.#layout;
  }

  get slot(): LayoutSlot {
    return this.#slot;
  }

  /** Since when this process has had the present layout. */
  get since(): MonotonicMs {
    return this.#since;
  }

  get isChanging(): boolean {
    return this.#changingTo !== null;
  }

  get isMember(): boolean {
    return this.#layout !== null && memberById(this.#layout, this.#deps.self) !== undefined;
  }

  /** Takes over a layout that someone showed, if it is newer. False: it is not to be taken from this sender. */
  offer(layout: Layout, from: NodeId | null): boolean {
    if (this.#layout === null && this.#changingTo === null && !this.#deps.mayTakeFirst(layout, from)) return false;
    if (this.#changingTo === null) {
      if (this.#isTaken(layout, this.#layout)) this.#adopt(layout);
      return true;
    }
    if (this.#changingTo !== 'nothing' && this.#isTaken(layout, this.#next ?? this.#changingTo)) this.#next = layout;
    return true;
  }

  #isTaken(shown: Layout, present: Layout | null): boolean {
    const descent = present === null ? 'follows' : descentOf(shown, present);
    switch (descent) {
      case 'follows': return true;
      case 'recovered': return present !== null && this.#deps.mayTakeRecovered(shown, present);
      case 'forked':
        this.#deps.onForked(shown);
        return false;
      case 'older':
      case 'foreign': return false;
      default: return assertNever(descent);
    }
  }

  /** A vote: the caller writes it and replies only when it is durable. */
  vote(slot: LayoutSlot): void {
    this.#slot = slot;
  }

  /** Gives up a ring of one; `refused` when the store holds something. */
  abandon(layout: Layout, refused: (now: MonotonicMs) => void): void {
    this.#changingTo = 'nothing';
    this.#deps.exchange.write(
      (tag) => ({ kind: 'abandon', tag, clusterId: layout.clusterId }),
      (now) => { this.#changed(null, now); },
      (now) => {
        this.#changingTo = null;
        this.#runWaiting(now);
        refused(now);
      },
    );
  }

  /** Runs when no change is under way: now, or later. False: too many wait already. */
  whenSettled(work: (now: MonotonicMs) => void, now: MonotonicMs): boolean {
    if (this.#changingTo === null) {
      work(now);
      return true;
    }
    if (this.#waiting.length >= WAITING_MAX) return false;
    this.#waiting.push(work);
    return true;
  }

  #adopt(layout: Layout): void {
    this.#changingTo = layout;
    const { discards } = adoption(this.#layout, layout, this.#deps.self);
    this.#deps.exchange.write((tag) => ({ kind: 'adopt', tag, layout, discards }), (now) => { this.#changed(layout, now); });
  }

  #changed(layout: Layout | null, now: MonotonicMs): void {
    this.#layout = layout;
    this.#slot = EMPTY_SLOT;
    this.#since = now;
    this.#changingTo = null;
    const next = this.#next;
    this.#next = null;
    this.#deps.onChanged(layout, now);
    if (next !== null && isNewer(next, layout) && this.#changingTo === null) this.#adopt(next);
    if (this.#changingTo === null) this.#runWaiting(now);
  }

  #runWaiting(now: MonotonicMs): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const work of waiting) this.whenSettled(work, now);
  }
}
