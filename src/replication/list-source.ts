/**
 * The giving side of a listing: names of registers that this node holds as a replica, tombstones too, in order. The
 * coordinator counts them against quorums, so they obey the fence of epochs, and the reply follows the fsync of everything
 * applied before it.
 *
 * What an ex-owner still has is left out, with one exception: the last name looked at is always given when more may
 * follow, so that every reply tells how far it went. With a grouping, names beyond the first few of a group are jumped
 * over, whatever their number.
 * Cost: `looksMax` entries in one turn of the event loop at most. Source: protocol rules R1, R3.
 */
import type { Epoch } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import { positionOfKey } from '../domain/ring-position.ts';
import { LISTED_BYTES_MAX, listedEntryBytes } from '../protocol/list-codec.ts';
import type { ListedEntry, ListReply, ListRequest, StaleEpochReply } from '../protocol/message.ts';
import type { ViewSource } from '../ring/cluster-view.ts';
import { replicaSets } from '../ring/placement.ts';
import type { NamedEntry, RegisterStore } from '../storage/register-store.ts';
import type { StoreOperations } from '../storage/store-operations.ts';
import { behind, commonPrefix, type ListFrom } from './list-cursor.ts';

export interface ListSourceDeps {
  readonly store: Pick<RegisterStore, 'scanNames' | 'flushed'>;
  readonly views: ViewSource;
  readonly operations: StoreOperations;
}

export interface ListSourceOptions {
  /** Entries of one reply at most. */
  readonly entriesMax: number;
  /** Registers looked at for one reply. Higher: fewer replies where many are left out; lower: shorter turns. */
  readonly looksMax: number;
}

/**
 * Registers looked at between two jumps over a group, beyond those wanted of it: few after a jump, twice as many each time
 * that none was needed. A look costs about 1 microsecond and a jump 3, so neither large nor small groups are slow.
 */
const GROUP_LOOKS_MIN = 1;
const GROUP_LOOKS_MAX = 64;

export class ListSource {
  readonly #deps: ListSourceDeps;
  readonly #options: ListSourceOptions;

  constructor(deps: ListSourceDeps, options: ListSourceOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** The next names. Stale when the epochs differ. */
  async list(request: ListRequest): Promise<ListReply | StaleEpochReply> {
    const { store, views, operations } = this.#deps;
    for (let gate = views.gate(); gate !== null; gate = views.gate()) await gate;
    const view = views.current();
    if (view?.layout.epoch !== request.epoch) return staleEpoch(view?.layout ?? null, request.epoch);
    const holds = ({ key }: NamedEntry): boolean => replicaSets(view.layout, positionOfKey(key, view.layout.keyBits)).all.includes(view.self);
    const beginAt = operations.begin();
    const stretch = this.#collect(request, holds);
    await store.flushed();
    operations.end('list', beginAt, true);
    return { kind: 'list-reply', epoch: request.epoch, ...stretch };
  }

  #collect({ prefix, from, limit, grouping }: ListRequest, holds: (entry: NamedEntry) => boolean): Pick<ListReply, 'entries' | 'isLast'> {
    const entriesMax = Math.min(Math.max(limit, 1), this.#options.entriesMax);
    const entries: ListedEntry[] = [];
    const group: { text: string | null; count: number } = { text: null, count: 0 };
    let bytesLeft = LISTED_BYTES_MAX;
    let looksLeft = this.#options.looksMax;
    /** Looked at and left out since the last one given. */
    let passed: NamedEntry | null = null;
    let next: ListFrom = from;
    let spareLooks = GROUP_LOOKS_MIN;
    for (;;) {
      const batch = this.#deps.store.scanNames(prefix, next, Math.min(looksLeft, grouping === null ? entriesMax - entries.length : grouping.namesMax + spareLooks));
      let isJumping = false;
      for (const entry of batch.entries) {
        looksLeft -= 1;
        next = { name: entry.name, isInclusive: false };
        isJumping = grouping !== null && group.text !== null && group.count >= grouping.namesMax && entry.name.startsWith(group.text);
        if (isJumping) continue;
        if (!holds(entry)) {
          passed = entry;
          continue;
        }
        const listed = listedEntry(entry);
        bytesLeft -= listedEntryBytes(listed);
        if (bytesLeft < 0) return { entries, isLast: false };
        entries.push(listed);
        passed = null;
        if (entries.length === entriesMax) return { entries, isLast: batch.isLast && entry === batch.entries.at(-1) };
        const shownUnder = commonPrefix(entry.name, prefix, grouping?.delimiter ?? null);
        group.count = shownUnder !== null && shownUnder === group.text ? group.count + 1 : 1;
        group.text = shownUnder;
      }
      spareLooks = isJumping ? GROUP_LOOKS_MIN : Math.min(2 * spareLooks, GROUP_LOOKS_MAX);
      if (isJumping && group.text !== null && !batch.isLast) next = behind({ kind: 'prefix', text: group.text });
      if (batch.isLast || next === null) return { entries, isLast: true };
      if (looksLeft <= 0) break;
    }
    if (passed !== null && listedEntryBytes(passed) <= bytesLeft) entries.push(listedEntry(passed));
    return { entries, isLast: false };
  }
}

function listedEntry({ name, accepted, version, kind, size }: NamedEntry): ListedEntry {
  return { name, accepted, version, recordKind: kind, size };
}

function staleEpoch(layout: Layout | null, epoch: Epoch): StaleEpochReply {
  return { kind: 'stale-epoch', epoch: layout?.epoch ?? 0, layout: layout !== null && layout.epoch > epoch ? layout : null };
}
