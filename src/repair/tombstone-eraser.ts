/**
 * Tombstone eraser: walks this node's tombstones, a page at a time, and has those erased that are old enough and that all
 * replicas hold alike; what differs is made alike by an identity round and goes at a later pass.
 *
 *   rest --passMs--> page of tombstones --due ones--> ask all replicas --all alike--> tell all to erase
 *    ^                  ^                                             --differ-----> identity round (a few each pass)
 *    '--no page left----'--stepMs--                                   --no answer--> next pass
 *
 * The first replica of an arc does it. The others would find the same, so each waits `turnMs` longer for each place it is
 * behind; they do it all the same, because the first one may have erased its own and lost the messages to the others.
 * Age is counted by the wall clock and only for the sake of retries, which find their history as long as the tombstone is
 * there (rule R9). For retries inside one coordinator a wrong clock costs an "unknown", never data. A client's own retry with
 * its `Idempotency-Key` isn't safe for ever: once the history is gone (with the tombstone after `ageMs`, sooner by a clock
 * that is ahead; or after 8 writes of the name) it is applied again. The ballot too has to be of some age: it becomes a floor,
 * and every write that began below it would have to end as unknown.
 *
 * Bounded: one page in work, `looksPerStep` registers a step, `evenOutsPerPass` identity rounds a pass; nothing at all
 * while there is no tombstone. Source: protocol rule R13.
 */
import { ballotWallMs, type Ballot } from '../domain/ballot.ts';
import { DhtError } from '../domain/error-catalogue.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { RingArc } from '../domain/ring-position.ts';
import type { Rules } from '../domain/rules.ts';
import type { PeerCaller, PeerTarget } from '../peer/peer-caller.ts';
import { ErasureTally } from '../register/erasure.ts';
import type { ViewSource } from '../ring/cluster-view.ts';
import { allReplicaSets, memberById, type ReplicaSets } from '../ring/placement.ts';
import type { RegisterStore, TombstoneEntry } from '../storage/register-store.ts';
import type { Pauses } from '../transfer/pauses.ts';
import { linearArcs } from './linear-arcs.ts';

export interface TombstoneEraserDeps {
  readonly caller: PeerCaller;
  readonly store: RegisterStore;
  readonly views: ViewSource;
  readonly rules: Rules;
  readonly pauses: Pauses;
  readonly identityRound: (name: string, above: Ballot) => Promise<boolean>;
}

export interface TombstoneEraserOptions {
  /** Milliseconds since the delete, at least: as long a retry of it, or of a write before it, finds its result. */
  readonly ageMs: number;
  /** Milliseconds since the tombstone was accepted, at least: longer than any operation takes. */
  readonly settledMs: number;
  /** Milliseconds by which a replica lets the one before it go first. */
  readonly turnMs: number;
  /** Milliseconds between two passes. */
  readonly passMs: number;
  /** Milliseconds between two steps of a pass, and registers looked at in one. More: faster and more of the processor. */
  readonly stepMs: number;
  readonly looksPerStep: number;
  /** Identity rounds in one pass. */
  readonly evenOutsPerPass: number;
  readonly callTimeoutMs: number;
}

export class TombstoneEraser {
  readonly #deps: TombstoneEraserDeps;
  readonly #options: TombstoneEraserOptions;
  #evenOutsLeft = 0;

  constructor(deps: TombstoneEraserDeps, options: TombstoneEraserOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Runs until the node's pauses end. */
  start(): void {
    this.#run().catch((error: unknown) => {
      // The store failed: the node ends.
      if (!(error instanceof DhtError)) throw error;
    });
  }

  async #run(): Promise<void> {
    const { pauses, store } = this.#deps;
    for (;;) {
      await pauses.wait(this.#options.passMs);
      if (pauses.isStopped) return;
      if (store.totals().tombstones > 0) await this.#pass();
    }
  }

  async #pass(): Promise<void> {
    const view = this.#deps.views.current();
    if (view?.layout.phase !== 'stable') return;
    const { layout, self } = view;
    this.#evenOutsLeft = this.#options.evenOutsPerPass;
    for (const sets of allReplicaSets(layout)) {
      const turn = sets.old.indexOf(self);
      // Without every replica nothing can go: not worth asking.
      if (turn < 0 || this.#isIncomplete(sets)) continue;
      for (const arc of linearArcs({ from: sets.from, to: sets.end }, layout.keyBits)) {
        if (!(await this.#walk(layout, sets, arc, turn))) return;
      }
    }
  }

  #isIncomplete({ old }: ReplicaSets): boolean {
    const unreachable = this.#deps.views.current()?.unreachable;
    return old.some((id) => unreachable?.has(id) !== false);
  }

  /** False: the layout is another one now, or the node stops. */
  async #walk(layout: Layout, sets: ReplicaSets, arc: RingArc, turn: number): Promise<boolean> {
    const { store, pauses } = this.#deps;
    let page = store.scanTombstones(arc, null, this.#options.looksPerStep);
    for (;;) {
      const due = page.entries.filter((entry) => this.#isDue(entry, turn));
      if (due.length > 0) await this.#handle(layout, sets, due);
      if (!this.#isCurrent(layout)) return false;
      if (page.next === null) return true;
      await pauses.wait(this.#options.stepMs);
      if (pauses.isStopped || !this.#isCurrent(layout)) return false;
      page = store.scanTombstones(arc, page.next, this.#options.looksPerStep);
    }
  }

  #isCurrent(layout: Layout): boolean {
    const { views } = this.#deps;
    return views.gate() === null && views.current()?.layout.epoch === layout.epoch;
  }

  #isDue({ version, accepted }: TombstoneEntry, turn: number): boolean {
    const { ageMs, settledMs, turnMs } = this.#options;
    const now = this.#deps.pauses.clock.wallNow();
    return now - ballotWallMs(version) >= ageMs + turn * turnMs && now - ballotWallMs(accepted) >= settledMs;
  }

  async #handle(layout: Layout, sets: ReplicaSets, due: readonly TombstoneEntry[]): Promise<void> {
    const { caller, rules } = this.#deps;
    const { callTimeoutMs } = this.#options;
    const { epoch } = layout;
    const entries = due.map(({ key, accepted }) => ({ key, ballot: accepted }));
    const tallies = due.map(() => new ErasureTally(sets, rules));
    await Promise.all(sets.old.map(async (nodeId) => {
      const outcome = await caller.call<'tombstones'>(targetOf(layout, nodeId), { kind: 'tombstones', epoch, entries }, callTimeoutMs);
      const views = outcome.kind === 'reply' && outcome.reply.kind === 'tombstones-reply' && outcome.reply.epoch === epoch ? outcome.reply.isAlike : [];
      for (const [i, tally] of tallies.entries()) {
        const isAlike = views[i];
        if (isAlike === undefined) tally.fail(nodeId);
        else tally.add(nodeId, isAlike ? 'alike' : 'differs');
      }
    }));
    const erasable = entries.filter((_, i) => tallies[i]?.decision === 'erase');
    if (erasable.length > 0) {
      await Promise.all(sets.old.map((nodeId) => caller.call<'erase'>(targetOf(layout, nodeId), { kind: 'erase', epoch, entries: erasable }, callTimeoutMs)));
    }
    for (const [i, entry] of due.entries()) {
      if (tallies[i]?.decision !== 'even-out') continue;
      if (this.#evenOutsLeft === 0 || this.#deps.pauses.isStopped) return;
      this.#evenOutsLeft--;
      await this.#evenOut(entry);
    }
  }

  async #evenOut({ key, accepted }: TombstoneEntry): Promise<void> {
    const { store, identityRound } = this.#deps;
    const head = store.head(key);
    // A record that can't be read is for the repair of damage to mend first.
    const loaded = head === null ? null : await store.load(key, head).catch(() => null);
    if (loaded !== null) await identityRound(loaded.name, accepted);
  }
}

function targetOf(layout: Layout, nodeId: NodeId): PeerTarget {
  return { nodeId, advertise: memberById(layout, nodeId)?.advertise ?? '' };
}
