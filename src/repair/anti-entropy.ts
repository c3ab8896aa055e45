/**
 * Anti-entropy: finds what two replicas hold differently, and pulls what this one lacks. With every other member that shares
 * arcs: at once after a return (a boot, the end of a cut or a freeze), and again and again at `intervalMs`, in random order.
 *
 *   root alike? --yes--> done, one exchange of a hundred bytes
 *      no: digests of 256 pages --> of the buckets of those that differ --> key lists of the buckets that differ (ArcPull)
 *
 * It only ever pulls: the other side does the same and finds what it lacks. Taking obeys promises and floors (rule R12); what
 * they forbid is chosen again by an identity round above both. In one epoch, and only in arcs that don't move: what moves is
 * catch-up's, which compares every key, because there a whole quorum's state has to be merged whatever the digests say. A newer
 * layout ends what runs; a return that isn't through begins again in it.
 *
 * A comparison that fails (the peer is down) is tried again with growing pauses; one peer after the other, so that it never
 * takes more than one peer's attention. Why not the merge of a quorum that catch-up makes: a node that kept its disk has every
 * promise and vote it ever gave, so nothing is unsafe while it lags; comparing with each peer in turn costs bytes only for
 * what is different.
 * Cost: 100 bytes for each peer that is alike; for k differences about 2 KiB + 2 KiB a page and 1.5 KiB a bucket touched.
 * Source: [Dynamo07] "Handling permanent failures: Replica synchronization"; protocol sections D.3, D.4, rule R12.
 */
import { DhtError } from '../domain/error-catalogue.ts';
import type { Epoch, NodeId } from '../domain/ids.ts';
import { elapsedMs } from '../domain/instant.ts';
import type { Layout } from '../domain/layout.ts';
import type { PeerTarget } from '../domain/peer-identity.ts';
import type { RingArc } from '../domain/ring-position.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import type { Random } from '../ports/random.ts';
import { DIGEST_PAGES_MAX } from '../protocol/repair-codec.ts';
import { arcsSharedBy } from '../ring/held-arcs.ts';
import { memberById } from '../ring/placement.ts';
import { PAGE_BUCKETS } from '../storage/hash-tree.ts';
import { ArcPull, type ArcPullDeps, type ArcPullOptions, type PullOutcome } from './arc-pull.ts';
import { arcsOfBuckets } from './bucket-arcs.ts';
import { differing, rootOf } from './digest-source.ts';

export interface AntiEntropyDeps extends ArcPullDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Whether this node may take copies in: not while its disk is full. Then it compares later. */
  readonly mayTakeIn: () => boolean;
  /** A comparison with one peer ended. */
  readonly onRun: (result: 'ok' | 'failed', seconds: number) => void;
  /** All peers were compared since the last pass began. */
  readonly onPass: () => void;
}

export interface AntiEntropyOptions extends ArcPullOptions {
  /** Milliseconds between two passes over all peers, and up to a quarter more. Higher: less traffic, later found. */
  readonly intervalMs: number;
  /** Milliseconds before failed comparisons are tried again; doubles up to `retryMaxMs`. */
  readonly retryMs: number;
  readonly retryMaxMs: number;
  /** Stretches that differ pulled side by side. */
  readonly arcsAtOnce: number;
}

export class AntiEntropy {
  readonly #deps: AntiEntropyDeps;
  readonly #options: AntiEntropyOptions;
  /** Peers still to compare with in this pass. */
  readonly #due = new Set<NodeId>();
  #epoch: Epoch = 0;
  /** Counts runs, so that one of an older layout ends when it wakes up. */
  #run = 0;
  #timer: Timer | null = null;
  #retryMs: number;
  /** This node may lack writes since it was away. */
  #isReturning = false;
  #isStopped = false;

  constructor(deps: AntiEntropyDeps, options: AntiEntropyOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#retryMs = options.retryMs;
  }

  /** Peers that this node still has to be compared with after a return; null: it isn't behind, as far as it knows. */
  progress(): { readonly peersLeft: number } | null {
    return this.#isReturning && this.#due.size > 0 ? { peersLeft: this.#due.size } : null;
  }

  /** A newer layout is durable and current. */
  onLayout(layout: Layout): void {
    if (this.#isStopped || layout.epoch <= this.#epoch) return;
    const isFirst = this.#epoch === 0;
    this.#epoch = layout.epoch;
    const wasUnfinished = this.#due.size > 0;
    this.#cancel();
    if (wasUnfinished) this.#begin(this.#isReturning);
    else if (isFirst || this.#timer === null) this.#beginLater();
  }

  /** This node may have missed writes: it was down, cut off or frozen. */
  returned(): void {
    if (this.#isStopped) return;
    this.#cancel();
    this.#begin(true);
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
    this.#due.clear();
  }

  #cancel(): void {
    this.#run += 1;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #beginLater(): void {
    const delayMs = this.#options.intervalMs * (1 + this.#deps.random.float() / 4);
    this.#timer = this.#deps.clock.after(delayMs, () => { this.#begin(false); });
  }

  #begin(isReturning: boolean): void {
    const view = this.#deps.views.current();
    this.#isReturning = isReturning;
    this.#retryMs = this.#options.retryMs;
    this.#due.clear();
    for (const { nodeId } of view?.layout.members ?? []) {
      if (nodeId !== view?.self && view !== null && arcsSharedBy(view.layout, view.self, nodeId).length > 0) this.#due.add(nodeId);
    }
    this.#work(this.#run).catch((error: unknown) => {
      // The store failed: the node ends.
      if (!(error instanceof DhtError)) throw error;
    });
  }

  async #work(run: number): Promise<void> {
    const { clock, random, onRun, onPass, log } = this.#deps;
    const waiting = [...this.#due];
    while (waiting.length > 0) {
      const [peer] = waiting.splice(random.below(waiting.length), 1) as [NodeId];
      const beginAt = clock.monotonicNow();
      const outcome = await this.#compare(peer);
      if (run !== this.#run) return;
      if (outcome === 'superseded') break;
      onRun(outcome === 'done' ? 'ok' : 'failed', elapsedMs(beginAt, clock.monotonicNow()) / 1000);
      if (outcome === 'done') this.#due.delete(peer);
    }
    if (this.#due.size > 0) {
      this.#timer = clock.after(this.#retryMs * (1 + random.float() / 4), () => {
        this.#begunAgain();
      });
      this.#retryMs = Math.min(2 * this.#retryMs, this.#options.retryMaxMs);
      return;
    }
    if (this.#isReturning) log.info('compared with all other replicas', { epoch: this.#epoch });
    this.#isReturning = false;
    onPass();
    this.#beginLater();
  }

  #begunAgain(): void {
    this.#work(this.#run).catch((error: unknown) => {
      if (!(error instanceof DhtError)) throw error;
    });
  }

  /** Pulls what `peer` has above ours, in the epoch in which it begins. */
  async #compare(peer: NodeId): Promise<PullOutcome> {
    const { views, store } = this.#deps;
    const view = views.current();
    if (view === null || views.gate() !== null || !this.#deps.mayTakeIn()) return 'failed';
    const { layout, self } = view;
    const member = memberById(layout, peer);
    const arcs = arcsSharedBy(layout, self, peer);
    if (member === undefined || arcs.length === 0) return 'done';
    const target = { nodeId: peer, advertise: member.advertise };
    const own = store.digests(arcs, null);
    const reply = await this.#digests(target, layout.epoch, rootOf(own), null);
    if (reply === 'equal') return 'done';
    const pages = reply === null ? null : differing([own], reply);
    if (pages === null) return this.#isCurrent(layout.epoch) ? 'failed' : 'superseded';
    const buckets: number[] = [];
    for (let at = 0; at < pages.length; at += DIGEST_PAGES_MAX) {
      const asked = pages.slice(at, at + DIGEST_PAGES_MAX);
      const theirs = await this.#digests(target, layout.epoch, rootOf(own), asked);
      if (!this.#isCurrent(layout.epoch)) return 'superseded';
      const found = theirs === null || theirs === 'equal' ? null : differing(asked.map((page) => store.digests(arcs, page)), theirs);
      if (found === null) return 'failed';
      for (const child of found) buckets.push((asked[Math.floor(child / PAGE_BUCKETS)] ?? 0) * PAGE_BUCKETS + (child % PAGE_BUCKETS));
    }
    return this.#pull(target, layout.epoch, arcsOfBuckets(buckets, arcs, layout.keyBits));
  }

  async #digests(target: PeerTarget, epoch: Epoch, root: string, pages: readonly number[] | null): Promise<Buffer | 'equal' | null> {
    const { caller, views } = this.#deps;
    const outcome = await caller.call<'digests'>(target, { kind: 'digests', epoch, root, pages }, this.#options.callTimeoutMs);
    if (outcome.kind !== 'reply') return null;
    const { reply } = outcome;
    if (reply.kind === 'stale-epoch' && reply.layout !== null) await views.adopt(reply.layout);
    if (reply.kind !== 'digests-reply' || reply.epoch !== epoch) return null;
    return reply.isEqual ? 'equal' : reply.body;
  }

  async #pull(source: PeerTarget, epoch: Epoch, arcs: readonly RingArc[]): Promise<PullOutcome> {
    const queue = [...arcs];
    const outcomes: PullOutcome[] = [];
    const worker = async (): Promise<void> => {
      for (let arc = queue.shift(); arc !== undefined; arc = queue.shift()) {
        const outcome = await new ArcPull(this.#deps, this.#options, { epoch, isMoving: false, arc, sources: [source], needed: 1 }).run();
        outcomes.push(outcome);
        if (outcome !== 'done') return;
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.#options.arcsAtOnce, queue.length) }, worker));
    return outcomes.find((outcome) => outcome === 'superseded') ?? outcomes.find((outcome) => outcome === 'failed') ?? 'done';
  }

  #isCurrent(epoch: Epoch): boolean {
    const { views } = this.#deps;
    return views.gate() === null && views.current()?.layout.epoch === epoch;
  }
}
