/**
 * How much of each segment is still pointed at: bytes of accepted records and of bodies, staged ones too. Taken whenever all
 * entries are walked anyway (at start, and by each checkpoint), so the hot path counts nothing and a wrong counter can't
 * ever delete a segment.
 *
 * A segment that a census of the state at log position P doesn't name, and that ended before P, will never be named again:
 * new changes only point at new positions, and bodies only move between index and staging.
 */
import { must } from '../domain/assert.ts';
import { visitPlaces } from './key-index.ts';
import { BODY_IN_FILE, BODY_PREFIX_BYTES } from './log-format.ts';
import type { LogSegments, Segment } from './log-segments.ts';

export class SegmentCensus {
  readonly #segments: LogSegments;
  readonly #liveBytes = new Map<number, number>();
  /** The segment found last: neighbours in the index often are neighbours in the log. */
  #last: Segment | null = null;
  /** The first position that is in no segment. */
  #dangling: number | null = null;
  #total = 0;

  constructor(segments: LogSegments) {
    this.#segments = segments;
  }

  /** Counts what the entries of a bucket name. */
  addEntries(entries: Buffer): void {
    visitPlaces(entries, (recordAt, recordBytes, bodyAt, bodyBytes) => {
      this.#add(recordAt, recordBytes);
      if (bodyAt !== 0) this.addBody(bodyAt, bodyBytes);
    });
  }

  addBody(at: number, bytes: number): void {
    if (at !== BODY_IN_FILE) this.#add(at, BODY_PREFIX_BYTES + bytes);
  }

  liveBytes(segment: number): number {
    return this.#liveBytes.get(segment) ?? 0;
  }

  /** Of all segments. */
  get total(): number {
    return this.#total;
  }

  /** A position that something points at and that no segment has; null: there is none. */
  get dangling(): number | null {
    return this.#dangling;
  }

  #add(at: number, bytes: number): void {
    let segment = this.#last;
    if (segment === null || at < segment.position || (segment.end !== null && at >= segment.end)) {
      segment = this.#segments.find(at);
      if (segment === null) {
        this.#dangling ??= at;
        return;
      }
      this.#last = segment;
    }
    this.#liveBytes.set(segment.number, this.liveBytes(segment.number) + bytes);
    this.#total += bytes;
  }
}

/** Segments that the census doesn't name at all and that end before `position`: at one that ends there, a start from `position` begins. */
export function unnamedSegments(segments: LogSegments, census: SegmentCensus, position: number): readonly number[] {
  return segments.all()
    .filter(({ number, end }) => end !== null && end < position && census.liveBytes(number) === 0)
    .map(({ number }) => number);
}

/** Live part of a segment that is full. */
export function liveShare(segment: Segment, census: SegmentCensus): number {
  return census.liveBytes(segment.number) / Math.max(1, must(segment.end, 'end of a full segment') - segment.position);
}
