/**
 * Delivers hints: as soon as a node that missed writes is reachable it is told their keys, the oldest first, and pulls them
 * itself. What it took over is forgotten here; when it has no room it is told the rest later.
 * Cost: no timer while there are no hints; one call of at most 52 KiB at a time for each node.
 * Source: protocol section D.2.
 */
import type { Ballot } from '../domain/ballot.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { PeerCaller } from '../peer/peer-caller.ts';
import { MISSED_MAX } from '../protocol/repair-codec.ts';
import type { ViewSource } from '../ring/cluster-view.ts';
import { objectKey } from '../ring/hasher.ts';
import { memberById } from '../ring/placement.ts';
import type { HintBook, HintCause } from './hint-book.ts';

export interface HintSenderDeps {
  readonly clock: Clock;
  readonly caller: PeerCaller;
  readonly views: ViewSource;
  readonly book: HintBook;
  /** So many hints were delivered. */
  readonly onDelivered: (count: number) => void;
}

export interface HintSenderOptions {
  /** Milliseconds between two looks for nodes that can be told. Higher: fewer calls, later. */
  readonly lookMs: number;
  readonly callTimeoutMs: number;
}

export class HintSender {
  readonly #deps: HintSenderDeps;
  readonly #options: HintSenderOptions;
  readonly #calling = new Set<NodeId>();
  #timer: Timer | null = null;
  #isStopped = false;

  constructor(deps: HintSenderDeps, options: HintSenderOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** The node lacks at least this ballot of the name. */
  missed(nodeId: NodeId, name: string, accepted: Ballot, cause: HintCause): void {
    const { views, book, clock } = this.#deps;
    const layout = views.current()?.layout;
    if (this.#isStopped || layout === undefined) return;
    book.add(nodeId, objectKey(name, layout.keyBits), accepted, cause, clock.wallNow());
    this.#lookLater();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #lookLater(): void {
    if (this.#isStopped) return;
    this.#timer ??= this.#deps.clock.after(this.#options.lookMs, () => {
      this.#timer = null;
      this.#look();
      if (this.#deps.book.count > 0) this.#lookLater();
    });
  }

  #look(): void {
    const { views, book, clock } = this.#deps;
    const view = views.current();
    if (view === null) return;
    book.tidy((nodeId) => memberById(view.layout, nodeId) !== undefined, clock.wallNow());
    for (const nodeId of book.nodes()) {
      if (!view.unreachable.has(nodeId) && !this.#calling.has(nodeId)) void this.#tell(nodeId, memberById(view.layout, nodeId)?.advertise ?? '');
    }
  }

  async #tell(nodeId: NodeId, advertise: string): Promise<void> {
    const { caller, book, onDelivered } = this.#deps;
    this.#calling.add(nodeId);
    for (let batch = book.oldest(nodeId, MISSED_MAX); batch !== null && !this.#isStopped; batch = book.oldest(nodeId, MISSED_MAX)) {
      const { cause, entries } = batch;
      const outcome = await caller.call<'missed'>({ nodeId, advertise }, { kind: 'missed', cause, entries }, this.#options.callTimeoutMs);
      const taken = outcome.kind === 'reply' && outcome.reply.kind === 'missed-reply' ? Math.min(outcome.reply.taken, entries.length) : 0;
      book.delivered(nodeId, entries.slice(0, taken));
      onDelivered(taken);
      if (taken < entries.length) break;
    }
    this.#calling.delete(nodeId);
  }
}
