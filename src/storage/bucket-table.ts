/**
 * One value for each of the 65,536 buckets, in two levels of 256 so that an almost empty store stays small. The bucket of a
 * key is its top 16 bits: an arc of the ring is a run of buckets, and scans skip what isn't there.
 */
import { alignedPosition, ringSize, type ObjectKey, type RingArc } from '../domain/ring-position.ts';

export const BUCKET_COUNT = 65_536;
const PAGE_BUCKETS = 256;
/** Bits of a key's position below its bucket. */
const BITS_BELOW_BUCKET = 32;

/** Buckets or aligned 48-bit positions `first` to `last`, both included. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

export class BucketTable<T> {
  readonly #pages: (T | null)[][] = [];

  get(bucket: number): T | null {
    return this.#pages[bucket >>> 8]?.[bucket & 255] ?? null;
  }

  set(bucket: number, value: T | null): void {
    const page = (this.#pages[bucket >>> 8] ??= new Array<T | null>(PAGE_BUCKETS).fill(null));
    page[bucket & 255] = value;
  }

  /** The first bucket from `bucket` on that has a value; BUCKET_COUNT when there is none. */
  nextFrom(bucket: number): number {
    let at = bucket;
    while (at < BUCKET_COUNT) {
      const page = this.#pages[at >>> 8];
      if (page === undefined) {
        at = ((at >>> 8) + 1) * PAGE_BUCKETS;
        continue;
      }
      if ((page[at & 255] ?? null) !== null) return at;
      at++;
    }
    return BUCKET_COUNT;
  }
}

/** The aligned 48-bit positions of an arc, clockwise from its beginning: two spans when it wraps over 0. */
export function spansOf(arc: RingArc, keyBits: number): readonly Span[] {
  const last = ringSize(keyBits) - 1;
  const pairs: (readonly [number, number])[] = arc.from < arc.to ? [[arc.from + 1, arc.to]] : [[arc.from + 1, last], [0, arc.to]];
  return pairs
    .filter(([from, to]) => from <= to)
    .map(([from, to]) => ({ first: alignedPosition(from, keyBits), last: alignedPosition(to + 1, keyBits) - 1 }));
}

export function bucketOfAligned(position: number): number {
  return Math.floor(position / 2 ** BITS_BELOW_BUCKET);
}

export function bucketOfKey(key: ObjectKey): number {
  return parseInt(key.slice(0, 4), 16);
}

/** Buckets that the arc touches. */
export function bucketsOf(arc: RingArc, keyBits: number): readonly Span[] {
  return spansOf(arc, keyBits).map(({ first, last }) => ({ first: bucketOfAligned(first), last: bucketOfAligned(last) }));
}

/** Buckets that lie whole in the arcs taken together. */
export function wholeBucketsOf(arcs: readonly RingArc[], keyBits: number): readonly Span[] {
  const spans = arcs.flatMap((arc) => spansOf(arc, keyBits)).sort((a, b) => a.first - b.first);
  const merged: { first: number; last: number }[] = [];
  for (const span of spans) {
    const before = merged.at(-1);
    if (before !== undefined && span.first <= before.last + 1) before.last = Math.max(before.last, span.last);
    else merged.push({ ...span });
  }
  return merged
    .map(({ first, last }) => ({ first: bucketOfAligned(first + 2 ** BITS_BELOW_BUCKET - 1), last: bucketOfAligned(last + 1) - 1 }))
    .filter(({ first, last }) => first <= last);
}
