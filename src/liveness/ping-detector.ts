/**
 * Ping detector: what this node itself finds out about the neighbours it pings.
 *
 * Every period each watched node is pinged once. Three unanswered pings in a row make it *down here*, so that pointers
 * skip it; after the second miss other nodes are asked to try (indirect probes). If one of them gets an answer only the
 * link is bad and nobody else is told; if none does the node may be accused before all.
 *
 *     up --miss--> missing(1) --miss--> missing(2), probe --miss--> down --probes unanswered--> to be accused
 *      ^                                                             |---probe answered-------> link is bad
 *      +------------------------- an answer, from any state ---------+
 *
 * Pure bookkeeping: the caller sends, and says what came of it. A round that this node itself overslept doesn't count.
 * Cost: O(1) an event, O(watched) a tick; a node watches about three others.
 * Source: the seed's rule (0.5 s, three misses); [SWIM] "SWIM Failure Detector".
 */
import type { NodeId } from '../domain/ids.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';

export interface PingDetectorOptions {
  readonly periodMs: number;
  /** Misses in a row until down. */
  readonly missesMax: number;
  /** Misses in a row until others are asked; asked again after each further `missesMax` misses. */
  readonly probeAfterMisses: number;
}

/** up: answers, or hasn't missed enough. link-bad: others reach it. unconfirmed: probes are out. silent: nobody reaches it. */
export type PingVerdict = 'up' | 'link-bad' | 'unconfirmed' | 'silent';

interface Watched {
  lastPingAt: MonotonicMs | null;
  isPingOut: boolean;
  misses: number;
  /** Number of the newest probe round, so that answers of an older one don't count. */
  probeRound: number;
  probe: 'none' | 'out' | 'answered' | 'unanswered';
}

export class PingDetector {
  readonly #options: PingDetectorOptions;
  readonly #watched = new Map<NodeId, Watched>();
  /** Pings sent before it were overslept. */
  #validFrom: MonotonicMs | null = null;

  constructor(options: PingDetectorOptions) {
    this.#options = options;
  }

  /** Watches exactly these nodes; what is known of those already watched stays. */
  watch(targets: readonly NodeId[]): void {
    const wanted = new Set(targets);
    for (const id of this.#watched.keys()) if (!wanted.has(id)) this.#watched.delete(id);
    for (const id of targets) {
      if (!this.#watched.has(id)) {
        this.#watched.set(id, { lastPingAt: null, isPingOut: false, misses: 0, probeRound: 0, probe: 'none' });
      }
    }
  }

  /** The nodes whose next ping is due; they count as pinged from now on. */
  takeDue(now: MonotonicMs): readonly NodeId[] {
    const due: NodeId[] = [];
    for (const [id, w] of this.#watched) {
      if (w.isPingOut || (w.lastPingAt !== null && elapsedMs(w.lastPingAt, now) < this.#options.periodMs)) continue;
      w.lastPingAt = now;
      w.isPingOut = true;
      due.push(id);
    }
    return due;
  }

  answered(id: NodeId): void {
    const w = this.#watched.get(id);
    if (w === undefined) return;
    w.isPingOut = false;
    w.misses = 0;
    w.probe = 'none';
  }

  /** A ping sent at `sentAt` stayed unanswered. Returns the number of the probe round to start now, or null. */
  missed(id: NodeId, sentAt: MonotonicMs): number | null {
    const w = this.#watched.get(id);
    if (w === undefined || w.lastPingAt !== sentAt) return null;
    w.isPingOut = false;
    if (this.#validFrom !== null && sentAt < this.#validFrom) return null;
    w.misses += 1;
    const beyond = w.misses - this.#options.probeAfterMisses;
    if (beyond < 0 || beyond % this.#options.missesMax !== 0) return null;
    w.probeRound += 1;
    if (w.probe !== 'answered') w.probe = 'out';
    return w.probeRound;
  }

  /** Outcome of a whole probe round: whether anybody got an answer. */
  probed(id: NodeId, round: number, isAnswered: boolean): void {
    const w = this.#watched.get(id);
    if (w === undefined || w.probeRound !== round || w.misses === 0) return;
    w.probe = isAnswered ? 'answered' : 'unanswered';
  }

  /** The node is a new process: what its last life missed says nothing about it, and neither do pings under way. */
  renewed(id: NodeId): void {
    const w = this.#watched.get(id);
    if (w !== undefined) this.#watched.set(id, { ...w, lastPingAt: null, isPingOut: false, misses: 0, probe: 'none' });
  }

  /**
   * The node says that it lives, after it was accused: that nobody reached it before is no reason to accuse it again. It is
   * avoided here until a ping is answered, and accused when others don't reach it now.
   */
  refuted(id: NodeId): void {
    const w = this.#watched.get(id);
    if (w === undefined || w.probe === 'none' || w.probe === 'answered') return;
    w.probe = 'none';
    w.probeRound += 1;
  }

  /** This node overslept: pings under way say nothing. */
  stalled(now: MonotonicMs): void {
    this.#validFrom = now;
  }

  verdict(id: NodeId): PingVerdict {
    const w = this.#watched.get(id);
    if (w === undefined || w.misses < this.#options.missesMax) return 'up';
    switch (w.probe) {
      case 'answered': return 'link-bad';
      case 'unanswered': return 'silent';
      case 'none':
      case 'out': return 'unconfirmed';
    }
  }

  /** Unanswered pings in a row; 0 for nodes that aren't watched. */
  misses(id: NodeId): number {
    return this.#watched.get(id)?.misses ?? 0;
  }

  /** The watched nodes, in the order given to `watch`. */
  get watched(): readonly NodeId[] {
    return [...this.#watched.keys()];
  }
}
