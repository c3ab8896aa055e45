/** Buckets of the hash tree as arcs of the ring: what has to be compared key by key where digests differ. */
import { KEY_BITS_MAX, ringSize, type Position, type RingArc } from '../domain/ring-position.ts';
import { spansOf, type Span } from '../storage/bucket-table.ts';

const BUCKET_SPAN = 2 ** 32;

/** Parts of the arcs that lie in the buckets (sorted), neighbouring buckets together; none of them wraps over 0. */
export function arcsOfBuckets(buckets: readonly number[], within: readonly RingArc[], keyBits: number): readonly RingArc[] {
  const runs: { first: number; last: number }[] = [];
  for (const bucket of buckets) {
    const before = runs.at(-1);
    if (before?.last === bucket - 1) before.last = bucket;
    else runs.push({ first: bucket, last: bucket });
  }
  const spans = within.flatMap((arc) => spansOf(arc, keyBits));
  const arcs: RingArc[] = [];
  for (const run of runs) {
    for (const span of spans) {
      const first = Math.max(span.first, run.first * BUCKET_SPAN);
      const last = Math.min(span.last, (run.last + 1) * BUCKET_SPAN - 1);
      const arc = first <= last ? arcOf({ first, last }, keyBits) : null;
      if (arc !== null) arcs.push(arc);
    }
  }
  return arcs;
}

/** The positions inside a span of aligned ones; null: none. (N - 1, to] is [0, to]. */
function arcOf({ first, last }: Span, keyBits: number): RingArc | null {
  const step = 2 ** (KEY_BITS_MAX - keyBits);
  const from = Math.ceil(first / step);
  const to = Math.floor(last / step);
  if (from > to) return null;
  return { from: (from === 0 ? ringSize(keyBits) - 1 : from - 1) as Position, to: to as Position };
}
