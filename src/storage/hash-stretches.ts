/**
 * An arc of the ring seen as stretches of the hash tree: whole pages, whole buckets, and at its ends parts of buckets. Where the
 * ring has fewer than 2^16 positions a position covers several buckets, and nothing is ever cut.
 */
import { bucketOfAligned, type Span } from './bucket-table.ts';
import { PAGE_BUCKETS } from './hash-tree.ts';

const BUCKET_SPAN = 2 ** 32;

export interface StretchVisitor {
  /** Null: pages are wanted bucket by bucket. */
  readonly page: ((page: number) => void) | null;
  readonly bucket: (bucket: number) => void;
  /** Aligned positions inside one bucket. */
  readonly part: (span: Span) => void;
}

/** Visits the spans of aligned positions; with `page`, only what lies in that page. */
export function visitStretches(spans: readonly Span[], page: number | null, visitor: StretchVisitor): void {
  for (const span of spans) {
    let at = page === null ? span.first : Math.max(span.first, page * PAGE_BUCKETS * BUCKET_SPAN);
    const last = page === null ? span.last : Math.min(span.last, (page + 1) * PAGE_BUCKETS * BUCKET_SPAN - 1);
    while (at <= last) {
      const bucket = bucketOfAligned(at);
      const isBucketStart = at === bucket * BUCKET_SPAN;
      const pageEnd = (bucket + PAGE_BUCKETS) * BUCKET_SPAN - 1;
      if (visitor.page !== null && isBucketStart && bucket % PAGE_BUCKETS === 0 && pageEnd <= last) {
        visitor.page(bucket / PAGE_BUCKETS);
        at = pageEnd + 1;
        continue;
      }
      const bucketEnd = (bucket + 1) * BUCKET_SPAN - 1;
      const end = Math.min(bucketEnd, last);
      if (isBucketStart && end === bucketEnd) visitor.bucket(bucket);
      else visitor.part({ first: at, last: end });
      at = end + 1;
    }
  }
}
