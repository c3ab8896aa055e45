/**
 * Gossip queue: news about nodes that this node still has to pass on. Each piece rides on pings; the one told least
 * often goes first, and after multiplier * ceil(log10(n + 1)) tellings it has reached everybody with high probability.
 *
 * Only the node is queued, not the text: what is sent is always the newest rumour known of it.
 * Cost: O(queue log queue) a ping; the queue is bounded by the members of the layout.
 * Source: [SWIM] "Infection-Style Dissemination Component"; [memberlist] `queue.go`, `util.go` (retransmitLimit).
 */
import type { NodeId } from '../domain/ids.ts';

export class GossipQueue {
  readonly #multiplier: number;
  readonly #tellings = new Map<NodeId, number>();

  constructor(multiplier: number) {
    this.#multiplier = multiplier;
  }

  /** There is news of this node: it is to be told anew. */
  push(nodeId: NodeId): void {
    this.#tellings.set(nodeId, 0);
  }

  get size(): number {
    return this.#tellings.size;
  }

  /** Up to `count` nodes to tell of now, in a ring of `members`. */
  take(count: number, members: number): readonly NodeId[] {
    const limit = this.#multiplier * Math.ceil(Math.log10(members + 1));
    const picked = [...this.#tellings].sort((a, b) => a[1] - b[1]).slice(0, count);
    for (const [nodeId, tellings] of picked) {
      if (tellings + 1 >= limit) this.#tellings.delete(nodeId);
      else this.#tellings.set(nodeId, tellings + 1);
    }
    return picked.map(([nodeId]) => nodeId);
  }
}
