/**
 * Pulls one arc: merges the registers of a quorum of sources into the local store, page by page in key order.
 *
 * Each step asks every reachable source for its next page, waits for enough of them, and handles the keys that all of
 * these pages cover. A key whose highest accepted ballot among the sources is above ours is taken with its body
 * (rule R10: same epoch, above our accepted, not below a promise of ours or, while the layout moves, of the sources), or, when a
 * promise stands in the way, settled by an identity round on that key. In a stable layout the floor of an absent key stands in
 * the way too (register/take.ts). A large body comes first, by a pull of its own (transfer/body-pull.ts). Keys that are already here are only compared, so a pull that
 * was broken off goes on where it stood without a stored cursor, and a retained member moves no bytes for what it has.
 *
 * Every reply has to be of the epoch in which the pull began; when our own epoch moves on, the pull ends.
 * Source: protocol sections A.4 (8), E (2, 3), rules R10, R11.
 */
import { hash } from 'node:crypto';
import { compareBallots, maxBallot, ZERO_BALLOT, type Ballot } from '../domain/ballot.ts';
import { DhtError } from '../domain/error-catalogue.ts';
import type { Epoch, NodeId } from '../domain/ids.ts';
import type { PeerTarget } from '../domain/peer-identity.ts';
import type { ObjectKey, RingArc } from '../domain/ring-position.ts';
import type { ObjectRecord } from '../domain/stored-object.ts';
import type { Rules } from '../domain/rules.ts';
import type { PeerCaller } from '../peer/peer-caller.ts';
import type { PageReply, RecordsReply, TransferredRecord } from '../protocol/message.ts';
import { decideCatchUp, decideRepair, type CatchUpDecision } from '../register/take.ts';
import type { ViewSource } from '../ring/cluster-view.ts';
import type { RegisterStore } from '../storage/register-store.ts';
import type { BodyPull } from '../transfer/body-pull.ts';

export interface ArcPullDeps {
  readonly caller: PeerCaller;
  readonly store: RegisterStore;
  readonly views: ViewSource;
  readonly rules: Rules;
  /** Re-accepts the highest value of a name with a ballot above every promise and above `above`; true when that was chosen. */
  readonly identityRound: (name: string, above: Ballot) => Promise<boolean>;
  /** Brings large bodies here. */
  readonly pulls: BodyPull;
  /** Resolves when background work may move more than these bytes, which it has moved. */
  readonly pace: (bytes: number) => Promise<void>;
  /** So many registers were taken over. */
  readonly onTaken: (count: number) => void;
  /** Bytes of a small body that arrived, for metrics; `pulls` counts those of large ones. */
  readonly onBytes: (bytes: number) => void;
}

export interface ArcPullOptions {
  readonly pageEntriesMax: number;
  /** Keys asked for in one `records` request. */
  readonly recordKeysMax: number;
  readonly callTimeoutMs: number;
}

export interface PullTask {
  readonly epoch: Epoch;
  /** The layout of that epoch is moving: then nothing is erased, and records are taken whatever the floor (rule R11). */
  readonly isMoving: boolean;
  /** Must not wrap over 0 (see linearArcs), so that key order is clockwise order. */
  readonly arc: RingArc;
  /** Whom to pull from: other members of the set, reachable ones first. */
  readonly sources: readonly PeerTarget[];
  /** How many of them have to answer each step. 0: the local state alone is a quorum. */
  readonly needed: number;
}

/** done: a quorum was merged. failed: retry later. superseded: our epoch moved on. */
export type PullOutcome = 'done' | 'failed' | 'superseded';

interface SourcePage {
  readonly source: PeerTarget;
  readonly page: PageReply;
}

/** The highest record of a key among the sources, who has it, and the highest promise among them. */
interface Shown {
  readonly key: ObjectKey;
  readonly accepted: Ballot;
  readonly promised: Ballot;
  readonly source: PeerTarget;
}

/** About what a register takes on the wire besides its body, and an entry of a page. */
const RECORD_BYTES = 500;
const PAGE_ENTRY_BYTES = 92;

export class ArcPull {
  readonly #deps: ArcPullDeps;
  readonly #options: ArcPullOptions;
  readonly #task: PullTask;

  constructor(deps: ArcPullDeps, options: ArcPullOptions, task: PullTask) {
    this.#deps = deps;
    this.#options = options;
    this.#task = task;
  }

  async run(): Promise<PullOutcome> {
    let after: ObjectKey | null = null;
    let floor = ZERO_BALLOT;
    for (;;) {
      if (!this.#isCurrent()) return 'superseded';
      if (this.#task.needed === 0) return 'done';
      const pages = await this.#pages(after);
      if (!this.#isCurrent()) return 'superseded';
      if (pages === null) return 'failed';
      await this.#deps.pace(pages.reduce((sum, { page }) => sum + page.entries.length * PAGE_ENTRY_BYTES, 0));
      if (!this.#isCurrent()) return 'superseded';
      for (const { page } of pages) floor = maxBallot(floor, page.floor);
      const end = coveredEnd(pages.map(({ page }) => page));
      const taken = await this.#takeAll(this.#shown(pages, end));
      if (taken !== 'done') return taken;
      if (end === null) break;
      after = end;
    }
    if (compareBallots(floor, this.#deps.store.floorOf(this.#task.arc)) > 0) await this.#deps.store.raiseFloor(this.#task.arc, floor);
    await this.#deps.store.flushed();
    return this.#isCurrent() ? 'done' : 'superseded';
  }

  /** Still in the epoch of the task, and no newer layout is being made durable. */
  #isCurrent(): boolean {
    const { views } = this.#deps;
    return views.gate() === null && views.current()?.layout.epoch === this.#task.epoch;
  }

  /** One page of each of the first `needed` sources that answer; null when fewer do. */
  async #pages(after: ObjectKey | null): Promise<readonly SourcePage[] | null> {
    const { sources, needed } = this.#task;
    const pages: SourcePage[] = [];
    let left = sources.length;
    return new Promise((resolve) => {
      if (left < needed) resolve(null);
      for (const source of sources) {
        void this.#page(source, after).then((page) => {
          left -= 1;
          if (page !== null && pages.length < needed) pages.push({ source, page });
          if (pages.length === needed) resolve(pages);
          else if (pages.length + left < needed) resolve(null);
        });
      }
    });
  }

  async #page(source: PeerTarget, after: ObjectKey | null): Promise<PageReply | null> {
    const { arc, epoch } = this.#task;
    const request = { kind: 'page', epoch, from: arc.from, to: arc.to, after, limit: this.#options.pageEntriesMax } as const;
    const outcome = await this.#deps.caller.call<'page'>(source, request, this.#options.callTimeoutMs);
    if (outcome.kind !== 'reply') return null;
    if (outcome.reply.kind === 'stale-epoch' && outcome.reply.layout !== null) await this.#deps.views.adopt(outcome.reply.layout);
    return outcome.reply.kind === 'page-reply' && outcome.reply.epoch === epoch ? outcome.reply : null;
  }

  /** What the sources together show of each key up to `end`. */
  #shown(pages: readonly SourcePage[], end: ObjectKey | null): Shown[] {
    const shown = new Map<ObjectKey, Shown>();
    for (const { source, page } of pages) {
      for (const { key, accepted, promised } of page.entries) {
        if (end !== null && key > end) break;
        const known = shown.get(key);
        if (known === undefined) shown.set(key, { key, accepted, promised, source });
        else {
          const highest = compareBallots(accepted, known.accepted) > 0 ? { accepted, source } : known;
          shown.set(key, { key, accepted: highest.accepted, source: highest.source, promised: maxBallot(promised, known.promised) });
        }
      }
    }
    return [...shown.values()];
  }

  #decide(key: ObjectKey, shown: Omit<Shown, 'key' | 'source'>, recordKind: ObjectRecord['kind']): CatchUpDecision {
    const { store, rules } = this.#deps;
    const head = store.head(key);
    const own = { promised: head?.promised ?? ZERO_BALLOT, accepted: head?.accepted ?? ZERO_BALLOT, floor: store.floor(key) };
    return this.#task.isMoving ? decideCatchUp(own, shown, this.#task.epoch, rules) : decideRepair(own, shown.accepted, recordKind, rules);
  }

  async #takeAll(shown: readonly Shown[]): Promise<PullOutcome> {
    const bySource = new Map<PeerTarget, Shown[]>();
    const promises: Promise<void>[] = [];
    for (const entry of shown) {
      // Tombstones are told from objects only once the record is here.
      const decision = this.#decide(entry.key, entry, 'object');
      if (decision.kind === 'promise') promises.push(this.#deps.store.promise(entry.key, '', decision.ballot, null));
      if (decision.kind !== 'take' && decision.kind !== 'choose-again') continue;
      const entries = bySource.get(entry.source);
      if (entries === undefined) bySource.set(entry.source, [entry]);
      else entries.push(entry);
    }
    await Promise.all(promises);
    for (const [source, entries] of bySource) {
      for (let at = 0; at < entries.length;) {
        const asked = entries.slice(at, at + this.#options.recordKeysMax);
        const reply = await this.#records(source, asked.map(({ key }) => key));
        if (!this.#isCurrent()) return 'superseded';
        if (reply === null || reply.answered === 0) return 'failed';
        at += reply.answered;
        const promised = new Map(asked.map((entry) => [entry.key, entry.promised]));
        const results = await Promise.all(reply.records.map((record) => this.#take(record, promised.get(record.key) ?? ZERO_BALLOT, reply.body, source)));
        this.#deps.onTaken(results.filter((result) => result === 'done').length);
        await this.#deps.pace((reply.body?.length ?? 0) + reply.records.length * RECORD_BYTES);
        if (results.includes('superseded')) return 'superseded';
        if (results.includes('failed')) return 'failed';
      }
    }
    return 'done';
  }

  async #records(source: PeerTarget, keys: readonly ObjectKey[]): Promise<RecordsReply | null> {
    const { epoch } = this.#task;
    const outcome = await this.#deps.caller.call<'records'>(source, { kind: 'records', epoch, keys }, this.#options.callTimeoutMs);
    if (outcome.kind !== 'reply' || outcome.reply.kind !== 'records-reply' || outcome.reply.epoch !== epoch) return null;
    return outcome.reply;
  }

  /** Rule R10: body first, same epoch, above our accepted and not below a promise, all in one synchronous step. */
  async #take(transferred: TransferredRecord, promised: Ballot, frameBody: Buffer | null, source: PeerTarget): Promise<PullOutcome> {
    const { store, rules } = this.#deps;
    const { key, name, ballot, record } = transferred;
    const large = record.kind === 'object' && record.body.where === 'file' ? record.body : null;
    for (;;) {
      const decision = this.#decide(key, { accepted: ballot, promised }, record.kind);
      if (decision.kind === 'choose-again') return (await this.#deps.identityRound(name, decision.above)) ? 'done' : 'failed';
      if (decision.kind !== 'take') return 'done';
      if (large === null || !rules.takeObeysPromise || store.holdsBody(key, large.bodyId)) break;
      if ((await this.#deps.pulls.pull({ key, name, body: large, holders: this.#holders(source), isBackground: true })) !== 'held') return 'failed';
      // Everything may have changed in the meantime.
      if (!this.#isCurrent()) return 'superseded';
    }
    const staged: Promise<void>[] = [];
    if (large === null && record.kind === 'object' && !store.holdsBody(key, record.body.bodyId)) {
      const bytes = (frameBody ?? Buffer.alloc(0)).subarray(transferred.bodyOffset, transferred.bodyOffset + transferred.bodyLength);
      if (bytes.length !== record.body.size || hash('sha256', bytes, 'hex') !== record.body.sha256) return 'failed';
      this.#deps.onBytes(bytes.length);
      staged.push(store.stage(key, record.body.bodyId, bytes));
    }
    // A volume that is nearly full refuses the body but not the record, which takes no room: a record without its body must not
    // be accepted (rule R6). What was taken is held at once, what was refused isn't.
    const isRefused = staged.length > 0 && record.kind === 'object' && !store.holdsBody(key, record.body.bodyId);
    try {
      await Promise.all(isRefused ? staged : [...staged, store.accept(key, name, ballot, record)]);
    } catch (error) {
      // Nothing was changed; there may be room, or less to do, later.
      if (error instanceof DhtError && (error.code === 'DHT_ERR_DISK_FULL' || error.code === 'DHT_ERR_OVERLOADED')) return 'failed';
      throw error;
    }
    return this.#isCurrent() ? 'done' : 'superseded';
  }

  /** Who showed the record, then the other sources. */
  #holders(source: PeerTarget): readonly NodeId[] {
    return [source, ...this.#task.sources.filter((other) => other !== source)].flatMap(({ nodeId }) => (nodeId === null ? [] : [nodeId]));
  }
}

/** The last key that every page covers; null when all pages are their source's last. */
function coveredEnd(pages: readonly PageReply[]): ObjectKey | null {
  let end: ObjectKey | null = null;
  for (const page of pages) {
    const last = page.entries.at(-1)?.key;
    if (!page.isLast && last !== undefined && (end === null || last < end)) end = last;
  }
  return end;
}
