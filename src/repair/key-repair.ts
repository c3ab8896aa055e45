/**
 * Key repair: registers of which this replica knows, or was told, that it lacks something.
 *
 *   why it waits here                          known from
 *   body:  the newest record couldn't be taken, because its large body couldn't be had in time        this node
 *          the body of an accepted record isn't held any more (rotten, lost)                          a scan of the index
 *   write: it did not answer when a write was accepted                                                a hint
 *   read:  a reader saw that it lags behind                                                           a hint
 *
 *   ready --one of workersMax--> pulled from a quorum of the key's replicas --> done: forgotten
 *     ^                                    failed                               body missing: pulled from any holder
 *     +---- later: due after a pause that doubles, with jitter <----+
 *
 * The record is pulled exactly as catch-up does for a whole arc (ArcPull), here for the one position. The queue is in memory
 * and bounded; a restart loses nothing by it: bodies that are lacking are found again by the scan at start, records by the
 * comparison with the other replicas, which an overflow is left to as well. A queue on disk would have to be kept in step
 * with the index through every crash, and this one is *derived* from it.
 * Source: protocol sections C.2 ("cut and repaired later"), D.2, D.3, rules R10, R12.
 */
import type { Ballot } from '../domain/ballot.ts';
import { compareBallots, ZERO_BALLOT } from '../domain/ballot.ts';
import { DhtError } from '../domain/error-catalogue.ts';
import { elapsedMs, plusMs, type MonotonicMs } from '../domain/instant.ts';
import { positionOfKey, ringSize, type ObjectKey, type Position, type RingArc } from '../domain/ring-position.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import type { MissedReply, MissedRequest } from '../protocol/message.ts';
import { majorityOf } from '../register/joint-quorum.ts';
import { objectKey } from '../ring/hasher.ts';
import { memberById, replicaSets } from '../ring/placement.ts';
import type { Pauses } from '../transfer/pauses.ts';
import { ArcPull, type ArcPullDeps, type ArcPullOptions, type PullOutcome } from './arc-pull.ts';
import { linearArcs } from './linear-arcs.ts';

export type RepairCause = 'body' | 'write' | 'read';
export const REPAIR_CAUSES: readonly RepairCause[] = ['body', 'write', 'read'];

export interface KeyRepairDeps extends ArcPullDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly pauses: Pauses;
  /** Whether this node may take copies in: not while its disk is full. Then keys wait. */
  readonly mayTakeIn: () => boolean;
  /** An attempt ended; failed ones are made again. */
  readonly onAttempt: (cause: RepairCause, result: 'ok' | 'failed') => void;
}

export interface KeyRepairOptions extends ArcPullOptions {
  /** Keys that wait. Higher: more memory, about 300 bytes each; lower: more is left to the next comparison. */
  readonly pendingMax: number;
  /** Keys pulled side by side: more is faster and takes more from clients. */
  readonly workersMax: number;
  /** Milliseconds before a second attempt; doubles up to `delayMaxMs`. */
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
  /** Registers looked at in one go by the scan for missing bodies: below a millisecond. */
  readonly scanEntries: number;
}

interface Waiting {
  readonly cause: RepairCause;
  readonly since: MonotonicMs;
  delayMs: number;
  dueAt: MonotonicMs;
}

const WHOLE_RING: RingArc = { from: 0 as Position, to: 0 as Position };
/** Looks for keys that are due again, for each shortest pause. */
const LOOKS_PER_PAUSE = 4;

export class KeyRepair {
  readonly #deps: KeyRepairDeps;
  readonly #options: KeyRepairOptions;
  /** All keys, oldest first. */
  readonly #waiting = new Map<ObjectKey, Waiting>();
  readonly #ready = new Set<ObjectKey>();
  readonly #later = new Set<ObjectKey>();
  #running = 0;
  #timer: Timer | null = null;
  #isScanning = false;
  #isStopped = false;

  constructor(deps: KeyRepairDeps, options: KeyRepairOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get pendingCount(): number {
    return this.#waiting.size;
  }

  /** Milliseconds that the oldest key has waited; null: none waits. */
  get oldestMs(): number | null {
    const [oldest] = this.#waiting.values();
    return oldest === undefined ? null : elapsedMs(oldest.since, this.#deps.clock.monotonicNow());
  }

  /** The newest record of the name couldn't be taken: its body is still on its way. */
  addLacking(name: string): void {
    const layout = this.#deps.views.current()?.layout;
    if (layout !== undefined) this.#add(objectKey(name, layout.keyBits), 'body', this.#options.delayMinMs);
  }

  /** A hint: takes what it can remember of it. */
  missed({ cause, entries }: MissedRequest): MissedReply {
    let taken = 0;
    for (const { key, accepted } of entries) {
      if (this.#lacks(key, accepted) && !this.#add(key, cause, 0)) break;
      taken++;
    }
    return { kind: 'missed-reply', taken };
  }

  /** Looks for accepted records whose bodies aren't held here any more. */
  async scanBodies(): Promise<void> {
    const { store, pauses } = this.#deps;
    if (this.#isScanning) return;
    this.#isScanning = true;
    for (let after: ObjectKey | null = null, isLast = false; !isLast && !this.#isStopped;) {
      const page = store.scan(WHOLE_RING, after, this.#options.scanEntries);
      for (const { key, kind, bodyId } of page.entries) {
        if (kind === 'object' && bodyId !== null && !store.holdsBody(key, bodyId)) this.#add(key, 'body', 0);
      }
      after = page.entries.at(-1)?.key ?? after;
      isLast = page.isLast;
      if (!isLast) await pauses.wait(1);
    }
    this.#isScanning = false;
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#timer = null;
    for (const keys of [this.#waiting, this.#ready, this.#later]) keys.clear();
  }

  #lacks(key: ObjectKey, accepted: Ballot): boolean {
    const { views, store } = this.#deps;
    const view = views.current();
    if (view === null || compareBallots(store.head(key)?.accepted ?? ZERO_BALLOT, accepted) >= 0) return false;
    return replicaSets(view.layout, positionOfKey(key, view.layout.keyBits)).all.includes(view.self);
  }

  /** False: there is no room. */
  #add(key: ObjectKey, cause: RepairCause, delayMs: number): boolean {
    if (this.#waiting.has(key)) return true;
    if (this.#isStopped || this.#waiting.size >= this.#options.pendingMax) return false;
    const now = this.#deps.clock.monotonicNow();
    this.#waiting.set(key, { cause, since: now, delayMs: this.#options.delayMinMs, dueAt: plusMs(now, delayMs) });
    if (delayMs === 0) this.#ready.add(key);
    else this.#later.add(key);
    this.#go();
    return true;
  }

  #go(): void {
    for (const key of this.#ready) {
      if (this.#running >= this.#options.workersMax) break;
      this.#ready.delete(key);
      this.#running++;
      void this.#tried(key).then((outcome) => {
        this.#running--;
        this.#ended(key, outcome);
        this.#go();
      });
    }
    if (this.#later.size === 0 || this.#isStopped) return;
    this.#timer ??= this.#deps.clock.after(this.#options.delayMinMs / LOOKS_PER_PAUSE, () => {
      this.#timer = null;
      this.#wake();
      this.#go();
    });
  }

  #wake(): void {
    const now = this.#deps.clock.monotonicNow();
    for (const key of this.#later) {
      if ((this.#waiting.get(key)?.dueAt ?? 0) > now) continue;
      this.#later.delete(key);
      this.#ready.add(key);
    }
  }

  #ended(key: ObjectKey, outcome: PullOutcome): void {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    this.#deps.onAttempt(waiting.cause, outcome === 'done' ? 'ok' : 'failed');
    if (outcome === 'done') {
      this.#waiting.delete(key);
      return;
    }
    const { clock, random } = this.#deps;
    waiting.dueAt = plusMs(clock.monotonicNow(), waiting.delayMs * (0.5 + random.float() / 2));
    waiting.delayMs = Math.min(2 * waiting.delayMs, this.#options.delayMaxMs);
    this.#later.add(key);
  }

  /** What the store can't read, or hasn't room for, now is tried again. Anything else that throws is a bug. */
  async #tried(key: ObjectKey): Promise<PullOutcome> {
    try {
      return await this.#attempt(key);
    } catch (error) {
      if (error instanceof DhtError) return 'failed';
      throw error;
    }
  }

  async #attempt(key: ObjectKey): Promise<PullOutcome> {
    const view = this.#deps.views.current();
    if (view === null || !this.#deps.mayTakeIn()) return 'failed';
    const { layout, self } = view;
    const position = positionOfKey(key, layout.keyBits);
    const { old, all } = replicaSets(layout, position);
    if (!all.includes(self)) return 'done';
    const sources = old.filter((id) => id !== self)
      .sort((a, b) => Number(view.unreachable.has(a)) - Number(view.unreachable.has(b)))
      .map((nodeId) => ({ nodeId, advertise: memberById(layout, nodeId)?.advertise ?? '' }));
    const needed = majorityOf(old.length) - (old.includes(self) ? 1 : 0);
    const before = (position === 0 ? ringSize(layout.keyBits) - 1 : position - 1) as Position;
    for (const arc of linearArcs({ from: before, to: position }, layout.keyBits)) {
      const outcome = await new ArcPull(this.#deps, this.#options, { epoch: layout.epoch, isMoving: layout.phase === 'moving', arc, sources, needed }).run();
      if (outcome !== 'done') return outcome;
    }
    return this.#bringBody(key);
  }

  /** The body of what is accepted here, from whoever of the replicas holds it. */
  async #bringBody(key: ObjectKey): Promise<PullOutcome> {
    const { store, pulls, views } = this.#deps;
    const head = store.head(key);
    const layout = views.current()?.layout;
    if (head?.kind !== 'object' || head.bodyId === null || layout === undefined || store.holdsBody(key, head.bodyId)) return 'done';
    const loaded = await store.load(key, head);
    if (loaded?.record.kind !== 'object') return 'failed';
    const holders = replicaSets(layout, positionOfKey(key, layout.keyBits)).all;
    return (await pulls.pull({ key, name: loaded.name, body: loaded.record.body, holders, isBackground: true })) === 'held' ? 'done' : 'failed';
  }
}
