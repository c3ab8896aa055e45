/**
 * The floor of each bucket, kept as runs of buckets with the same floor: catch-up raises whole arcs at once, so there are few
 * runs, and raising one doesn't touch tens of thousands of buckets. At worst one run a bucket.
 *
 * Run i covers the buckets starts[i] to starts[i + 1] - 1, the last one up to the last bucket; neighbours differ.
 * Source: protocol section C.1 "per bucket a floor"; A.4 (10).
 */
import { equalBallots, maxBallot, ZERO_BALLOT, type Ballot } from '../domain/ballot.ts';
import { must } from '../domain/assert.ts';
import { BUCKET_COUNT, type Span } from './bucket-table.ts';

export class FloorMap {
  #starts: number[] = [0];
  #floors: Ballot[] = [ZERO_BALLOT];

  get(bucket: number): Ballot {
    return must(this.#floors[this.#runOf(bucket)], 'floor of a bucket');
  }

  highestOf({ first, last }: Span): Ballot {
    let highest = ZERO_BALLOT;
    for (let run = this.#runOf(first); run < this.#starts.length && (this.#starts[run] ?? 0) <= last; run++) {
      highest = maxBallot(highest, this.#floors[run] ?? ZERO_BALLOT);
    }
    return highest;
  }

  raise(buckets: Span, floor: Ballot): void {
    this.#change(buckets, (before) => maxBallot(before, floor));
  }

  clear(buckets: Span): void {
    this.#change(buckets, () => ZERO_BALLOT);
  }

  /** The first bucket of each run, and its floor. */
  runs(): readonly (readonly [firstBucket: number, floor: Ballot])[] {
    return this.#starts.map((start, run) => [start, must(this.#floors[run], 'floor of a run')]);
  }

  /** Runs of a stored map, behind those that came before. */
  load(runs: readonly (readonly [firstBucket: number, floor: Ballot])[]): void {
    for (const [bucket, floor] of runs) this.#change({ first: bucket, last: BUCKET_COUNT - 1 }, () => floor);
  }

  /** The last run that begins at or before the bucket. */
  #runOf(bucket: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#starts[middle] ?? 0) <= bucket) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Makes a run begin at the bucket; its number. */
  #split(bucket: number): number {
    if (bucket >= BUCKET_COUNT) return this.#starts.length;
    const run = this.#runOf(bucket);
    if (this.#starts[run] === bucket) return run;
    this.#starts.splice(run + 1, 0, bucket);
    this.#floors.splice(run + 1, 0, must(this.#floors[run], 'floor of a run'));
    return run + 1;
  }

  #change({ first, last }: Span, next: (before: Ballot) => Ballot): void {
    const from = this.#split(first);
    const to = this.#split(last + 1);
    for (let run = from; run < to; run++) this.#floors[run] = next(must(this.#floors[run], 'floor of a run'));
    for (let run = Math.min(to, this.#starts.length - 1); run >= Math.max(1, from); run--) this.#joinWithBefore(run);
  }

  #joinWithBefore(run: number): void {
    if (!equalBallots(must(this.#floors[run - 1], 'floor of a run'), must(this.#floors[run], 'floor of a run'))) return;
    this.#starts.splice(run, 1);
    this.#floors.splice(run, 1);
  }
}
