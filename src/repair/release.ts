/**
 * Release: an ex-owner lets go of registers that it no longer has to hold, each only after *all* members of the arc's
 * replica set gave a receipt for it (that record or a later one, durable, with its body). Without every receipt it keeps
 * the copy and asks again later: an unfinished release costs space, never data. Only in a stable layout. A tombstone may
 * have been erased there meanwhile (rule R13): a replica with no value and a floor that high has no more use for it. For an
 * object that counts only when all say so, because a floor is that of a whole bucket and may be another key's.
 *
 * Where all answer and no majority of them holds anything as high, they are asked to choose again (lone-record.ts).
 *
 * A leaver waits for exactly this: when nothing is left here, every copy it had is elsewhere.
 * Source: protocol section E (6, 7), rule R15, invariant I19.
 */
import { isZeroBallot } from '../domain/ballot.ts';
import { DhtError } from '../domain/error-catalogue.ts';
import type { Layout } from '../domain/layout.ts';
import type { ObjectKey, RingArc } from '../domain/ring-position.ts';
import type { Rules } from '../domain/rules.ts';
import type { PeerCaller } from '../peer/peer-caller.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import type { ViewSource } from '../ring/cluster-view.ts';
import { majorityOf } from '../register/joint-quorum.ts';
import { allReplicaSets, type ReplicaSets } from '../ring/placement.ts';
import type { RegisterStore, ScanEntry } from '../storage/register-store.ts';
import { linearArcs } from './linear-arcs.ts';
import { settleLoneRecord, type Settle } from './lone-record.ts';

export interface ReleaseDeps {
  readonly caller: PeerCaller;
  readonly clock: Clock;
  readonly log: Log;
  readonly store: RegisterStore;
  readonly views: ViewSource;
  readonly rules: Rules;
  readonly settle: Settle;
  /** Nothing is held any more that this node doesn't have to hold. */
  readonly onDone: () => void;
}

export interface ReleaseOptions {
  readonly pageEntriesMax: number;
  readonly callTimeoutMs: number;
  /** Records settled by an identity round in one pass. Higher: sooner over, more rounds at once. */
  readonly loneRecordsMax: number;
  /** Pause before registers without all receipts are tried again. */
  readonly retryMs: number;
}

/** all: every replica gave one. lone: all answered, and no majority holds it. waits: some aren't there or aren't through yet. */
type Receipts = 'all' | 'lone' | 'waits';

export class Release {
  readonly #deps: ReleaseDeps;
  readonly #options: ReleaseOptions;
  #run = 0;
  #retry: Timer | null = null;
  /** Rounds for lone records that this pass may still make. */
  #roundsLeft = 0;
  #keysLeft = 0;
  #bytesLeft = 0;
  #isDone = false;

  constructor(deps: ReleaseDeps, options: ReleaseOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** A whole pass in the present layout found nothing to release any more. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** What the last pass found still waiting for receipts. */
  progress(): { readonly keysLeft: number; readonly bytesLeft: number } | null {
    return this.#keysLeft === 0 ? null : { keysLeft: this.#keysLeft, bytesLeft: this.#bytesLeft };
  }

  /** A newer layout is current. */
  onLayout(layout: Layout): void {
    this.stop();
    this.#isDone = false;
    if (layout.phase === 'stable') this.#begin(this.#run, layout);
  }

  stop(): void {
    this.#run += 1;
    this.#retry?.cancel();
    this.#retry = null;
  }

  #begin(run: number, layout: Layout): void {
    this.#pass(run, layout).catch((error: unknown) => {
      // The store failed: the node ends.
      if (!(error instanceof DhtError)) throw error;
      // It could not right now, for want of space say.
      if (run === this.#run) this.#passLater(run, layout);
    });
  }

  #passLater(run: number, layout: Layout): void {
    this.#retry = this.#deps.clock.after(this.#options.retryMs, () => { this.#begin(run, layout); });
  }

  async #pass(run: number, layout: Layout): Promise<void> {
    const self = this.#deps.views.current()?.self;
    let keysLeft = 0;
    this.#roundsLeft = this.#options.loneRecordsMax;
    let bytesLeft = 0;
    let released = 0;
    for (const arc of allReplicaSets(layout)) {
      if (self === undefined || arc.new.includes(self)) continue;
      for (const piece of linearArcs({ from: arc.from, to: arc.end }, layout.keyBits)) {
        const kept = await this.#releaseArc(run, layout, arc, piece);
        if (kept === null) return;
        keysLeft += kept.keys;
        bytesLeft += kept.bytes;
        released += kept.released;
      }
    }
    if (run !== this.#run) return;
    this.#keysLeft = keysLeft;
    this.#bytesLeft = bytesLeft;
    if (released > 0) this.#deps.log.info('released registers of other owners', { released, keysLeft, epoch: layout.epoch });
    this.#isDone = keysLeft === 0;
    if (this.#isDone) this.#deps.onDone();
    else this.#passLater(run, layout);
  }

  /** Null: a newer layout came, this pass is over. */
  async #releaseArc(run: number, layout: Layout, arc: ReplicaSets, piece: RingArc): Promise<{ keys: number; bytes: number; released: number } | null> {
    const { store } = this.#deps;
    const kept = { keys: 0, bytes: 0, released: 0 };
    let after: ObjectKey | null = null;
    for (;;) {
      if (run !== this.#run) return null;
      const { entries, isLast } = store.scan(piece, after, this.#options.pageEntriesMax);
      if (entries.length > 0) {
        const receipts = await this.#receipts(layout, arc, entries);
        const isFree = receipts.map((receipt) => receipt === 'all' || !this.#deps.rules.releaseNeedsReceipts);
        const isKept = await this.#settleLone(layout, entries, receipts, isFree);
        if (run !== this.#run || this.#deps.views.current()?.layout.epoch !== layout.epoch) return null;
        const free = entries.filter((_, i) => isFree[i] === true);
        if (free.length > 0) await store.release(free.map(({ key, accepted }) => ({ key, accepted })));
        kept.released += free.length;
        for (const [i, { size }] of entries.entries()) {
          if (isFree[i] === true || isKept[i] === true) continue;
          kept.keys += 1;
          kept.bytes += size;
        }
      }
      if (isLast) return kept;
      after = entries.at(-1)?.key ?? null;
    }
  }

  /** Marks those free that may be dropped; which ones are kept without holding up a leave. */
  async #settleLone(layout: Layout, entries: readonly ScanEntry[], receipts: readonly Receipts[], isFree: boolean[]): Promise<readonly boolean[]> {
    const isKept = entries.map(() => false);
    await Promise.all(entries.map(async (entry, i) => {
      if (receipts[i] !== 'lone' || this.#roundsLeft === 0) return;
      this.#roundsLeft -= 1;
      const end = await settleLoneRecord(this.#deps.store, this.#deps.settle, layout, entry);
      if (end === 'droppable') isFree[i] = true;
      if (end === 'kept') isKept[i] = true;
      if (end !== 'failed') this.#deps.log.warn('a record was accepted here alone', { key: entry.key, end, epoch: layout.epoch });
    }));
    return isKept;
  }

  /** For each entry what the replicas say. A bare promise needs none: this node has no vote here. */
  async #receipts(layout: Layout, arc: ReplicaSets, entries: readonly ScanEntry[]): Promise<readonly Receipts[]> {
    const asked = entries.filter((e) => !isZeroBallot(e.accepted));
    const held = new Map<ObjectKey, number>();
    const erased = new Map<ObjectKey, number>();
    let answers = 0;
    if (asked.length > 0) {
      const addresses = new Map(layout.members.map((m) => [m.nodeId, m.advertise]));
      await Promise.all(arc.new.map(async (nodeId) => {
        const outcome = await this.#deps.caller.call<'receipts'>(
          { nodeId, advertise: addresses.get(nodeId) ?? '' },
          { kind: 'receipts', epoch: layout.epoch, entries: asked.map(({ key, accepted }) => ({ key, accepted })) },
          this.#options.callTimeoutMs,
        );
        if (outcome.kind !== 'reply' || outcome.reply.kind !== 'receipts-reply' || outcome.reply.epoch !== layout.epoch) return;
        answers += 1;
        for (const [i, state] of outcome.reply.states.entries()) {
          const key = asked[i]?.key;
          if (key === undefined || state === 'lacking') continue;
          const counted = state === 'held' ? held : erased;
          counted.set(key, (counted.get(key) ?? 0) + 1);
        }
      }));
    }
    return entries.map(({ key, kind, accepted }) => {
      if (isZeroBallot(accepted)) return 'all';
      const [heldBy, erasedBy] = [held.get(key) ?? 0, erased.get(key) ?? 0];
      const all = arc.new.length;
      if (heldBy === all || erasedBy === all || (kind === 'tombstone' && heldBy + erasedBy === all)) return 'all';
      // What a majority holds was brought here by the move, and the others are on their way to it.
      return answers === all && heldBy < majorityOf(all) ? 'lone' : 'waits';
    });
  }
}
