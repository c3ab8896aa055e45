/**
 * Hints: keys of writes that a replica missed, remembered for it until it can be told. Keys and ballots only; a hint never
 * counts towards a quorum and holds no data, so losing one costs time, never a write: the replica's next comparison with the
 * others finds the same (anti-entropy). That is why they are in memory, why the coordinator alone keeps them, and why there
 * may be an end to them: beyond `entriesMax`, after `ageMaxMs`, or when the node is no member any more, they are dropped and
 * counted.
 *
 * Cost: about 250 bytes for each key and absent node; the newest ballot of a key replaces the ones before.
 * Rejected: hinted hand-off with bodies (a second store to keep right); a log of hints on disk (an fsync for each write
 * while a node is away, to save a comparison that costs seconds).
 * Source: [Dynamo07] "Hinted handoff"; protocol section D.2.
 */
import type { Ballot } from '../domain/ballot.ts';
import { compareBallots } from '../domain/ballot.ts';
import type { NodeId } from '../domain/ids.ts';
import type { WallMs } from '../domain/instant.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import type { MissedRequest } from '../protocol/message.ts';

export type HintCause = MissedRequest['cause'];
export type HintDrop = 'expired' | 'full' | 'left';
export const HINT_DROPS: readonly HintDrop[] = ['expired', 'full', 'left'];

export interface HintBookOptions {
  /** Hints of all nodes together. */
  readonly entriesMax: number;
  /** Milliseconds after which a node that stayed away is left to its comparison. */
  readonly ageMaxMs: number;
}

export interface Hint {
  readonly key: ObjectKey;
  readonly accepted: Ballot;
}

interface Note {
  readonly accepted: Ballot;
  readonly cause: HintCause;
  readonly at: WallMs;
}

export class HintBook {
  readonly #options: HintBookOptions;
  readonly #onDrop: (reason: HintDrop, count: number) => void;
  /** By node, oldest first. */
  readonly #notes = new Map<NodeId, Map<ObjectKey, Note>>();
  #count = 0;

  constructor(onDrop: (reason: HintDrop, count: number) => void, options: HintBookOptions) {
    this.#onDrop = onDrop;
    this.#options = options;
  }

  get count(): number {
    return this.#count;
  }

  /** Nodes that have hints. */
  nodes(): readonly NodeId[] {
    return [...this.#notes.keys()];
  }

  countOf(nodeId: NodeId): number {
    return this.#notes.get(nodeId)?.size ?? 0;
  }

  /** When the oldest hint was written; null: there are none. */
  get oldestAt(): WallMs | null {
    let oldest: WallMs | null = null;
    for (const notes of this.#notes.values()) {
      const [first] = notes.values();
      if (first !== undefined && (oldest === null || first.at < oldest)) oldest = first.at;
    }
    return oldest;
  }

  add(nodeId: NodeId, key: ObjectKey, accepted: Ballot, cause: HintCause, now: WallMs): void {
    const notes = this.#notes.get(nodeId) ?? new Map<ObjectKey, Note>();
    const known = notes.get(key);
    if (known !== undefined && compareBallots(known.accepted, accepted) >= 0) return;
    if (known === undefined && this.#count >= this.#options.entriesMax) {
      this.#onDrop('full', 1);
      return;
    }
    if (known === undefined) this.#count++;
    // Its place among the oldest stays.
    notes.set(key, { accepted, cause: known?.cause ?? cause, at: known?.at ?? now });
    this.#notes.set(nodeId, notes);
  }

  /** The oldest hints of the node that have one cause. */
  oldest(nodeId: NodeId, countMax: number): { readonly cause: HintCause; readonly entries: readonly Hint[] } | null {
    const entries: Hint[] = [];
    let cause: HintCause | null = null;
    for (const [key, note] of this.#notes.get(nodeId) ?? []) {
      if (entries.length === countMax || (cause !== null && note.cause !== cause)) break;
      cause = note.cause;
      entries.push({ key, accepted: note.accepted });
    }
    return cause === null ? null : { cause, entries };
  }

  /** The node knows these now. One with a newer ballot since stays. */
  delivered(nodeId: NodeId, entries: readonly Hint[]): void {
    const notes = this.#notes.get(nodeId);
    if (notes === undefined) return;
    for (const { key, accepted } of entries) {
      const note = notes.get(key);
      if (note !== undefined && compareBallots(note.accepted, accepted) <= 0 && notes.delete(key)) this.#count--;
    }
    if (notes.size === 0) this.#notes.delete(nodeId);
  }

  /** Drops what is too old, and what was kept for nodes that are no members any more. */
  tidy(isMember: (nodeId: NodeId) => boolean, now: WallMs): void {
    for (const [nodeId, notes] of this.#notes) {
      const isGone = !isMember(nodeId);
      let dropped = 0;
      for (const [key, { at }] of notes) {
        if (!isGone && now - at <= this.#options.ageMaxMs) break;
        notes.delete(key);
        dropped++;
      }
      this.#count -= dropped;
      if (dropped > 0) this.#onDrop(isGone ? 'left' : 'expired', dropped);
      if (notes.size === 0) this.#notes.delete(nodeId);
    }
  }
}
