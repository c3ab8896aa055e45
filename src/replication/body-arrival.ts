/**
 * Body arrival: what the replicas said, over all rounds of one write, about the large body that they lack. Only bytes that
 * nobody had reported before are progress: a replica that says in every round anew that it has nothing yet would otherwise
 * keep the write, and all that wait behind it, alive for ever. When everyone who could have the body lacks it, waiting is
 * useless: what one replica pulls must come from another one.
 */
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { NodeId } from '../domain/ids.ts';

interface Arrival {
  readonly bytes: number;
  /** When the bytes last grew, or the replica was first asked. */
  readonly at: MonotonicMs;
}

export class BodyArrival {
  readonly #progressMs: number;
  readonly #arrivals = new Map<NodeId, Arrival>();
  readonly #lacking = new Set<NodeId>();

  constructor(progressMs: number) {
    this.#progressMs = progressMs;
  }

  /** The body is on its way to the replica. stalled: for too long nothing came. */
  onPulling(nodeId: NodeId, bytes: number, now: MonotonicMs): 'progress' | 'waiting' | 'stalled' {
    const last = this.#arrivals.get(nodeId) ?? { bytes: 0, at: now };
    if (bytes > last.bytes) {
      this.#arrivals.set(nodeId, { bytes, at: now });
      this.#lacking.delete(nodeId);
      return 'progress';
    }
    this.#arrivals.set(nodeId, last);
    this.#lacking.add(nodeId);
    return elapsedMs(last.at, now) >= this.#progressMs ? 'stalled' : 'waiting';
  }

  /** The replica couldn't get the body. */
  onMissing(nodeId: NodeId): void {
    this.#lacking.add(nodeId);
  }

  /** Every one of these nodes last said that it lacks the body, and to none of them more of it came since. */
  isLackedBy(nodeIds: readonly NodeId[]): boolean {
    return nodeIds.every((id) => this.#lacking.has(id));
  }
}
