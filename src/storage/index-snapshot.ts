/**
 * The key index as it was at one moment, handed out bucket by bucket while changes go on: a bucket that is about to change
 * and wasn't handed out yet is handed out first. So nothing is copied twice, and what waits in memory is only what changed
 * meanwhile and wasn't written yet.
 *
 * Rejected: a fuzzy copy that recovery mends, because "the state at this position of the log" can be tested for equality.
 * Source: protocol section F.2 "Checkpoint".
 */
import { BUCKET_COUNT } from './bucket-table.ts';
import type { KeyIndex } from './key-index.ts';

export class IndexSnapshot {
  readonly #index: KeyIndex;
  /** `entries`: valid until it returns. */
  readonly #emit: (bucket: number, entries: Buffer) => void;
  /** Buckets below are handed out. */
  #next = 0;
  readonly #early = new Set<number>();

  constructor(index: KeyIndex, emit: (bucket: number, entries: Buffer) => void) {
    this.#index = index;
    this.#emit = emit;
    index.watch((bucket) => {
      if (bucket < this.#next || this.#early.has(bucket)) return;
      this.#early.add(bucket);
      this.#handOut(bucket);
    });
  }

  /** Hands out the next buckets, about `bytesMax` of them. */
  advance(bytesMax: number): 'more' | 'end' {
    let bytes = 0;
    while (bytes < bytesMax) {
      const bucket = this.#index.nextBucket(this.#next);
      this.#next = bucket + 1;
      if (bucket >= BUCKET_COUNT) {
        this.end();
        return 'end';
      }
      if (this.#early.delete(bucket)) continue;
      bytes += this.#handOut(bucket);
    }
    return 'more';
  }

  /** Nothing more is handed out. */
  end(): void {
    this.#next = BUCKET_COUNT;
    this.#early.clear();
    this.#index.watch(null);
  }

  #handOut(bucket: number): number {
    const entries = this.#index.entriesOf(bucket);
    if (entries.length > 0) this.#emit(bucket, entries);
    return entries.length;
  }
}
