/**
 * Names of one node, in order, as a listing reads them: one reply is held at a time, and the next one is asked for when it
 * is used up. A stream is *open* while it can't tell which name comes next.
 *
 *   open --fill--> names at hand --take the last--> open, or at its end
 *                       `--take the last that was wanted of a group--> open, unless the group is skipped
 *
 * The names come from another machine: a reply that isn't in order, or makes no progress, is refused.
 */
import { compareNames } from '../domain/name-order.ts';
import type { NodeId } from '../domain/ids.ts';
import type { ListedEntry, ListReply, ListRequest } from '../protocol/message.ts';
import { behind, commonPrefix, type ListFrom } from './list-cursor.ts';

export interface NameSelection {
  readonly prefix: string;
  readonly delimiter: string | null;
}

/** Names wanted of each group: the first live one shows that the group is there, and a few may be tombstones. */
const GROUP_NAMES = 2;
/** Names asked for beyond this node's likely part, so that chance rarely costs another round. */
const SPARE_NAMES = 16;
const SPARE_FACTOR = 1.2;

export class NameStream {
  readonly nodeId: NodeId;
  readonly #selection: NameSelection;
  /** Part of the ring's names that the node holds, 0 to 1. */
  readonly #share: number;
  #entries: readonly ListedEntry[] = [];
  #at = 0;
  #isLast = false;
  /** Where the next reply begins. */
  #from: ListFrom;
  #isGrouped: boolean;
  /** Of the group that the last taken name is in: how many of this reply were taken. */
  #group: string | null = null;
  #groupCount = 0;
  /** More of the present group may follow than the reply shows. */
  #isCut = false;

  constructor(nodeId: NodeId, share: number, selection: NameSelection, from: ListFrom) {
    this.nodeId = nodeId;
    this.#share = share;
    this.#selection = selection;
    this.#from = from;
    this.#isGrouped = selection.delimiter !== null;
  }

  get isOpen(): boolean {
    return this.#isCut || (this.#at === this.#entries.length && !this.#isLast);
  }

  /** The next name; null when the stream is open or at its end. */
  get head(): ListedEntry | null {
    return this.#isCut ? null : this.#entries[this.#at] ?? null;
  }

  /** What to ask for, so that about `wanted` names of the ring follow. */
  request(epoch: number, wanted: number): ListRequest {
    // A group of which the first names didn't tell whether it is there is read as it is.
    this.#isGrouped = this.#selection.delimiter !== null && !this.#isCut;
    const { prefix, delimiter } = this.#selection;
    const grouping = this.#isGrouped && delimiter !== null ? { delimiter, namesMax: GROUP_NAMES } : null;
    const names = Math.ceil(Math.min(1, this.#share * SPARE_FACTOR) * wanted) + SPARE_NAMES;
    return { kind: 'list', epoch, prefix, from: this.#from, limit: grouping === null ? names : names * GROUP_NAMES, grouping };
  }

  /** Takes the reply to `request`; false: it can't be one, give this node up. */
  fill({ entries, isLast }: ListReply): boolean {
    let before = this.#from;
    for (const { name } of entries) {
      const order = before === null ? 1 : compareNames(name, before.name);
      if (!name.startsWith(this.#selection.prefix) || order < 0 || (order === 0 && before?.isInclusive !== true)) return false;
      before = { name, isInclusive: false };
    }
    if (entries.length === 0 && !isLast) return false;
    this.#entries = entries;
    this.#at = 0;
    this.#isLast = isLast;
    this.#group = null;
    this.#groupCount = 0;
    this.#isCut = false;
    return true;
  }

  /** Goes on behind the head. */
  take(): void {
    const entry = this.head;
    if (entry === null) return;
    this.#at += 1;
    this.#from = { name: entry.name, isInclusive: false };
    if (!this.#isGrouped) return;
    const group = commonPrefix(entry.name, this.#selection.prefix, this.#selection.delimiter);
    this.#groupCount = group === this.#group ? this.#groupCount + 1 : 1;
    this.#group = group;
    this.#isCut = group !== null && this.#groupCount >= GROUP_NAMES;
  }

  /** Goes on behind all names of the group; the head is in it or behind it. */
  skip(group: string): void {
    while (this.#entries[this.#at]?.name.startsWith(group) === true) this.#at += 1;
    this.#isCut = false;
    const next = behind({ kind: 'prefix', text: group });
    if (next === null) this.#isLast = true;
    else if (this.#from === null || compareNames(next.name, this.#from.name) > 0) this.#from = next;
  }
}
