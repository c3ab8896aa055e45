/**
 * Catch-up: brings this node's share of the ring up to date, in the background, while reads and writes go on.
 *
 * Two reasons, one mechanism (ArcPull):
 * - *moved arcs* of a moving layout: every member of `new`, the retained ones too, merges a majority of `old`; what is
 *   done is saved and reported, and a majority of such reports lets the layout become stable (A.4, 5 and 8);
 * - *unfinished arcs*: what this node had not caught up in when the layout became stable; it merges a majority of the
 *   present replicas.
 *
 *   idle --layout adopted--> pulling --all arcs done--> idle
 *                            pulling --failed--> waiting --retryMs--> pulling
 *                            any     --newer layout--> pulling (of that layout)
 *
 * Both compare every key: a quorum's state has to be merged. What a node misses while it is away is no work for it but for
 * anti-entropy.
 *
 * Source: protocol sections A.4 (4, 5, 8), D.4, E; rule R11.
 */
import { DhtError } from '../domain/error-catalogue.ts';
import type { Epoch, NodeId } from '../domain/ids.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { Layout } from '../domain/layout.ts';
import type { PeerTarget } from '../domain/peer-identity.ts';
import type { Position, RingArc } from '../domain/ring-position.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import type { NodeStateStore } from '../storage/register-store.ts';
import { allReplicaSets } from '../ring/placement.ts';
import { ArcPull, type ArcPullDeps, type ArcPullOptions } from './arc-pull.ts';
import { linearArcs } from './linear-arcs.ts';

export interface CatchUpDeps extends ArcPullDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly state: NodeStateStore;
  /** The copy of an arc ended; one that a newer layout made needless counts for none. */
  readonly onTransfer: (result: 'ok' | 'failed') => void;
  /** The arcs (by their ends) of the epoch that this node has caught up in all: told to the stewards. */
  readonly onCaught: (epoch: Epoch, arcEnds: readonly Position[]) => void;
}

export interface CatchUpOptions extends ArcPullOptions {
  /** Arcs pulled side by side: more is faster and takes more from client requests. */
  readonly arcsAtOnce: number;
  /** Pause before the arcs that failed are tried again. */
  readonly retryMs: number;
}

export interface CatchUpProgress {
  readonly arcsLeft: number;
  /** Body bytes still to come, by the mean of the arcs done so far; 0 before the first is done. */
  readonly bytesLeft: number;
  /** By the pace of the arcs done so far; null before the first is done. */
  readonly estimatedSeconds: number | null;
}

interface ArcTask {
  readonly end: Position;
  readonly pieces: readonly RingArc[];
  readonly sources: readonly PeerTarget[];
  readonly needed: number;
  readonly isMoved: boolean;
  readonly isLayoutMoving: boolean;
}

export class CatchUp {
  readonly #deps: CatchUpDeps;
  readonly #options: CatchUpOptions;
  /** Arcs of the present layout still to pull, by their end. */
  #left = new Map<Position, ArcTask>();
  #epoch: Epoch = 0;
  /** A layout ended before its arcs were caught up here; cleared when all arcs of this node were merged. */
  #isBehind = false;
  /** Counts runs, so that a run of an older layout ends when it wakes up. */
  #run = 0;
  #retry: Timer | null = null;
  #startedAt: MonotonicMs | null = null;
  #arcsDone = 0;
  #bytesPulled = 0;
  /** bytesPulled when the present work began. */
  #bytesBefore = 0;
  #isStopped = false;

  constructor(deps: CatchUpDeps, options: CatchUpOptions) {
    this.#deps = { ...deps, onBytes: (bytes) => { this.#bytesPulled += bytes; deps.onBytes(bytes); } };
    this.#options = options;
  }

  /** Null when nothing is left to do. */
  progress(): CatchUpProgress | null {
    if (this.#left.size === 0 || this.#startedAt === null) return null;
    const runningMs = elapsedMs(this.#startedAt, this.#deps.clock.monotonicNow());
    const arcsLeft = this.#left.size;
    if (this.#arcsDone === 0) return { arcsLeft, bytesLeft: 0, estimatedSeconds: null };
    const bytesLeft = Math.round((this.#bytesPulled - this.#bytesBefore) / this.#arcsDone * arcsLeft);
    return { arcsLeft, bytesLeft, estimatedSeconds: runningMs / this.#arcsDone * arcsLeft / 1000 };
  }

  /** A newer layout is durable and current. What was left of an older one is planned anew. */
  onLayout(layout: Layout): void {
    if (this.#isStopped || layout.epoch <= this.#epoch) return;
    const wasUnfinished = this.#left.size > 0;
    this.#epoch = layout.epoch;
    if (wasUnfinished) this.#isBehind = true;
    this.#plan();
  }

  stop(): void {
    this.#isStopped = true;
    this.#run += 1;
    this.#retry?.cancel();
    this.#retry = null;
    this.#left.clear();
  }

  #plan(): void {
    const view = this.#deps.views.current();
    if (view === null) return;
    const { layout, self } = view;
    const caught = layout.epoch === this.#deps.state.layout()?.epoch ? this.#deps.state.caught() : new Set<Position>();
    const addresses = new Map(layout.members.map((m) => [m.nodeId, m.advertise]));
    const toTargets = (ids: readonly NodeId[]): PeerTarget[] => ids
      .filter((id) => id !== self)
      .sort((a, b) => Number(view.unreachable.has(a)) - Number(view.unreachable.has(b)))
      .map((nodeId) => ({ nodeId, advertise: addresses.get(nodeId) ?? '' }));
    this.#left = new Map();
    if (!this.#deps.rules.retainedCatchUp) this.#takeForCaught(layout, self);
    for (const arc of allReplicaSets(layout)) {
      const isMoved = arc.isMoving && arc.new.includes(self) && (this.#deps.rules.retainedCatchUp || !arc.old.includes(self));
      const isUnfinished = this.#isBehind && arc.old.includes(self);
      if (!(isMoved && !caught.has(arc.end)) && !isUnfinished) continue;
      this.#left.set(arc.end, {
        end: arc.end,
        pieces: linearArcs({ from: arc.from, to: arc.end }, layout.keyBits),
        sources: toTargets(arc.old),
        needed: Math.floor(arc.old.length / 2) + 1 - (arc.old.includes(self) ? 1 : 0),
        isMoved,
        isLayoutMoving: layout.phase === 'moving',
      });
    }
    if (this.#left.size === 0) this.#isBehind = false;
    this.#begin();
  }

  /** What a node without rule R11 would say: who held the arc before has nothing to catch up. */
  #takeForCaught(layout: Layout, self: NodeId): void {
    const retained = allReplicaSets(layout).filter((arc) => arc.isMoving && arc.old.includes(self) && arc.new.includes(self));
    const { state } = this.#deps;
    if (retained.length > 0) void state.saveCaught(layout.epoch, new Set([...state.caught(), ...retained.map((arc) => arc.end)]));
  }

  #begin(): void {
    this.#retry?.cancel();
    this.#retry = null;
    this.#run += 1;
    // Also with nothing left: in a moving layout "all caught" has to be told, and arcs that only others gain are no work.
    this.#report();
    if (this.#left.size === 0) return;
    this.#startedAt ??= this.#deps.clock.monotonicNow();
    const run = this.#run;
    this.#work(run).catch((error: unknown) => {
      // The store failed: the node ends.
      if (!(error instanceof DhtError)) throw error;
      // It could not right now, for want of space say.
      if (run !== this.#run) return;
      this.#deps.onTransfer('failed');
      this.#planLater();
    });
  }

  #planLater(): void {
    this.#retry = this.#deps.clock.after(this.#options.retryMs, () => { this.#plan(); });
  }

  async #work(run: number): Promise<void> {
    const queue = [...this.#left.values()];
    const worker = async (): Promise<void> => {
      for (let task = queue.shift(); task !== undefined && run === this.#run; task = queue.shift()) await this.#pull(task, run);
    };
    await Promise.all(Array.from({ length: Math.min(this.#options.arcsAtOnce, queue.length) }, worker));
    if (run !== this.#run) return;
    if (this.#left.size === 0) {
      this.#isBehind = false;
      this.#startedAt = null;
      this.#arcsDone = 0;
      this.#bytesBefore = this.#bytesPulled;
      this.#deps.log.info('catch-up complete', { epoch: this.#epoch, bytesPulled: this.#bytesPulled });
      return;
    }
    this.#deps.log.debug('catch-up waits before it tries again', { epoch: this.#epoch, arcsLeft: this.#left.size });
    this.#planLater();
  }

  async #pull(task: ArcTask, run: number): Promise<void> {
    const { sources, needed } = task;
    for (const arc of task.pieces) {
      const outcome = await new ArcPull(this.#deps, this.#options, { epoch: this.#epoch, isMoving: task.isLayoutMoving, arc, sources, needed }).run();
      if (run !== this.#run) return;
      if (outcome !== 'done') {
        if (outcome === 'failed') this.#deps.onTransfer('failed');
        return;
      }
    }
    this.#left.delete(task.end);
    this.#arcsDone += 1;
    if (task.isMoved) {
      const caught = new Set(this.#deps.state.caught()).add(task.end);
      await this.#deps.state.saveCaught(this.#epoch, caught);
      if (run === this.#run) this.#report();
    }
    this.#deps.onTransfer('ok');
  }

  #report(): void {
    const layout = this.#deps.views.current()?.layout;
    if (layout?.epoch !== this.#epoch || layout.phase !== 'moving') return;
    this.#deps.onCaught(this.#epoch, [...this.#deps.state.caught()]);
  }
}
