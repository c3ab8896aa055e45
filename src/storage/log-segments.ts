/**
 * The log's segment files: which one holds a position, reads that are under way, and taking one away.
 *
 * Only whole segments go, and only those that nothing points at any more (see log-upkeep.ts). A read that began before keeps
 * the file open until it ends, so it never meets a closed one; a position in a segment that is gone is answered with `holds`,
 * never with another segment's bytes: each segment knows where it ends, because its neighbour may be gone.
 * Source: protocol section F.2.
 */
import { assert, must } from '../domain/assert.ts';
import type { DiskFile } from '../ports/disk.ts';
import { SEGMENT_HEADER_BYTES } from './log-format.ts';

/** A segment file that is open for reading; the last one is written too. */
export interface Segment {
  readonly number: number;
  /** Log position of its first batch. */
  readonly position: number;
  /** Position behind its last batch; null: it is the last one and grows. */
  readonly end: number | null;
  readonly file: DiskFile;
}

interface HeldSegment {
  readonly number: number;
  readonly position: number;
  end: number | null;
  readonly file: DiskFile;
  readers: number;
  isRemoved: boolean;
}

export class LogSegments {
  /** By position. */
  readonly #segments: HeldSegment[];
  #bytes = 0;

  constructor(segments: readonly Segment[]) {
    this.#segments = segments.map((segment) => ({ ...segment, readers: 0, isRemoved: false }));
    for (const segment of segments) if (segment.end !== null) this.#bytes += bytesOf(segment, segment.end);
  }

  /** Oldest first. */
  all(): readonly Segment[] {
    return this.#segments;
  }

  last(): Segment | null {
    return this.#segments.at(-1) ?? null;
  }

  /** Bytes of all segments when the log ends at `end`. */
  bytes(end: number): number {
    const last = this.#segments.at(-1);
    return last === undefined ? 0 : this.#bytes + bytesOf(last, end);
  }

  /** A new last segment, which begins where the one before ends. */
  add(number: number, position: number, file: DiskFile): Segment {
    const before = this.#segments.at(-1);
    if (before !== undefined) {
      before.end = position;
      this.#bytes += bytesOf(before, position);
    }
    const segment = { number, position, end: null, file, readers: 0, isRemoved: false };
    this.#segments.push(segment);
    return segment;
  }

  /** Null: the position is in none. */
  find(position: number): Segment | null {
    return this.#find(position);
  }

  async read(position: number, length: number): Promise<Buffer> {
    const segment = must(this.#find(position), 'segment of a position');
    segment.readers++;
    try {
      return await segment.file.read(SEGMENT_HEADER_BYTES + position - segment.position, length);
    } finally {
      segment.readers--;
      if (segment.isRemoved && segment.readers === 0) await segment.file.close();
    }
  }

  /** Takes a segment out; its file is closed once nobody reads it. The caller removes the name. */
  async remove(number: number): Promise<void> {
    const index = this.#segments.findIndex((segment) => segment.number === number);
    const segment = must(this.#segments[index], 'a segment to be removed');
    assert(segment.end !== null, 'the segment that is written stays');
    this.#segments.splice(index, 1);
    this.#bytes -= bytesOf(segment, segment.end);
    segment.isRemoved = true;
    if (segment.readers === 0) await segment.file.close();
  }

  async close(): Promise<void> {
    for (const segment of this.#segments) await segment.file.close();
  }

  #find(position: number): HeldSegment | null {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#segments[middle]?.position ?? 0) <= position) low = middle + 1;
      else high = middle;
    }
    const found = this.#segments[low - 1];
    return found === undefined || (found.end !== null && position >= found.end) ? null : found;
  }
}

function bytesOf(segment: { readonly position: number }, end: number): number {
  return SEGMENT_HEADER_BYTES + end - segment.position;
}
