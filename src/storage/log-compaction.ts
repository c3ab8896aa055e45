/**
 * Compaction: what is still in use in a segment is copied to the end of the log, so that the segment can go.
 *
 * In use is what the index or the staged bodies point at: accepted records and bodies. Promises, floors and node state are in
 * the checkpoints, which no segment is needed for. A copy says from where it was moved and changes nothing but the place:
 * applied, it does nothing when the register or the body points elsewhere by then. So a copy can't undo a newer promise or
 * accept, however late it comes, and it means the same when the log is repeated. Looking, appending and applying are one step.
 *
 * First the index is walked for what points into the segments, then each segment is read from front to back in windows. Every
 * copy is checked first: rotten bytes are reported, and never copied as good ones. A body is then no longer held, a record
 * stays where it is, and its segment too.
 *
 * Cost: one walk of the index and one reading of each segment; memory: a window and 47 bytes for each copy.
 * Rejected: reading the segment batch by batch (rot in what nobody needs would end it); live counters kept with each change
 * (a wrong one would delete data).
 * Source: [LFS] "Segment cleaning mechanism"; [Bitcask]; protocol section F.2.
 */
import { DhtError } from '../domain/error-catalogue.ts';
import type { MonotonicMs } from '../domain/instant.ts';
import type { BodyId } from '../domain/ids.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import { BUCKET_COUNT } from './bucket-table.ts';
import { namesOf, visitPlaces } from './key-index.ts';
import { checkBody, type Log } from './log.ts';
import { BODY_IN_FILE, BODY_PREFIX_BYTES, SEGMENT_HEADER_BYTES } from './log-format.ts';
import type { LogRecord } from './log-record.ts';
import type { Segment } from './log-segments.ts';
import type { StoreState } from './store-state.ts';
import { parseAccepted } from './stored-record.ts';
import { unlessUnreadable } from './unreadable.ts';

export interface LogCompactionDeps {
  readonly log: Log;
  readonly state: StoreState;
  readonly now: () => MonotonicMs;
  /** Awaited after so many bytes of work. Rejects when the store stops. */
  readonly pause: (bytes: number) => Promise<void>;
  /** Whether the log is far too long. */
  readonly isBehind: () => boolean;
  /** `key`: of the register that it is a part of; null: of none, or unknown. */
  readonly onDamage: (detail: string, key: ObjectKey | null) => void;
}

export interface Compacted {
  readonly copiedBytes: number;
  /** Segments with a record that can't be read: they stay. */
  readonly rotten: ReadonlySet<number>;
}

/** Bytes of a segment that are in memory at a time. */
const WINDOW_BYTES = 4 * 1024 * 1024;
/** Copies, and their bytes, between two turns of the event loop. */
const COPIES_AT_ONCE = 250;
const COPIED_BYTES_AT_ONCE = 512 * 1024;
/** So many times as much when the log is far too long. */
const BEHIND_FACTOR = 4;
/** Buckets that are walked between two turns of the event loop, and what an entry walked counts of its bytes. */
const BUCKETS_AT_ONCE = 256;
const WALKING_PART = 16;

interface Place {
  readonly at: number;
  readonly bytes: number;
  /** Null: a staged body. */
  readonly key: ObjectKey | null;
  /** Null: a record. */
  readonly bodyId: BodyId | null;
}

/** Copies what is in use in segments that are no longer written. Rejects when the log fails or the store stops. */
export async function compactSegments(deps: LogCompactionDeps, segments: readonly Segment[]): Promise<Compacted> {
  const compaction = new Compaction(deps, segments);
  await compaction.find();
  return compaction.copy();
}

class Compaction {
  readonly #deps: LogCompactionDeps;
  readonly #segments: readonly Segment[];
  /** By segment number, by window. */
  readonly #places: ReadonlyMap<number, readonly PlaceList[]>;
  readonly #from: number;
  readonly #to: number;
  #copiedBytes = 0;
  readonly #rotten = new Set<number>();
  /** Copies since others had their turn, and their bytes. */
  #copies = 0;
  #bytes = 0;

  constructor(deps: LogCompactionDeps, segments: readonly Segment[]) {
    this.#deps = deps;
    this.#segments = segments;
    this.#places = new Map(segments.map((segment) => [
      segment.number, Array.from({ length: Math.ceil((endOf(segment) - segment.position) / WINDOW_BYTES) }, () => new PlaceList()),
    ]));
    this.#from = Math.min(...segments.map(({ position }) => position));
    this.#to = Math.max(...segments.map(endOf));
  }

  async find(): Promise<void> {
    const { state, pause } = this.#deps;
    const { ids, locations } = state.stagedNow();
    locations.forEach(({ at, size }, i) => { this.#note(at, size, null, ids[i] ?? null); });
    let walked = 0;
    let bytes = 0;
    for (let bucket = state.index.nextBucket(0); bucket < BUCKET_COUNT; bucket = state.index.nextBucket(bucket + 1)) {
      const entries = state.index.entriesOf(bucket);
      visitPlaces(entries, (recordAt, recordBytes, bodyAt, bodyBytes, entryAt) => {
        if (!this.#isInside(recordAt) && !this.#isInside(bodyAt)) return;
        const { key, bodyId } = namesOf(bucket, entries, entryAt);
        this.#note(recordAt, recordBytes, key, null);
        this.#note(bodyAt, bodyBytes, key, bodyId);
      });
      bytes += entries.length;
      if (++walked % BUCKETS_AT_ONCE !== 0) continue;
      await pause(bytes / WALKING_PART);
      bytes = 0;
    }
  }

  async copy(): Promise<Compacted> {
    for (const segment of this.#segments) {
      for (const [number, places] of (this.#places.get(segment.number) ?? []).entries()) {
        if (places.count > 0) await this.#copyWindow(segment, segment.position + number * WINDOW_BYTES, places);
      }
    }
    // What is reported as copied is durable.
    await this.#deps.log.commit();
    return { copiedBytes: this.#copiedBytes, rotten: this.#rotten };
  }

  async #copyWindow(segment: Segment, from: number, places: PlaceList): Promise<void> {
    const { log, pause } = this.#deps;
    const size = Math.min(WINDOW_BYTES, endOf(segment) - from);
    const window = await unlessUnreadable(segment.file.read(SEGMENT_HEADER_BYTES + from - segment.position, size)) ?? Buffer.alloc(0);
    await pause(size);
    for (let i = 0; i < places.count; i++) {
      const place = places.get(i);
      const length = place.bodyId === null ? place.bytes : BODY_PREFIX_BYTES + place.bytes;
      const inWindow = window.subarray(place.at - from, place.at - from + length);
      const stored = inWindow.length === length ? inWindow : await unlessUnreadable(log.read(place.at, length));
      if (stored === null) {
        // What is there may be read another day, and scrub looks whether it is needed: the segment stays.
        this.#rotten.add(segment.number);
        this.#deps.onDamage(`the log can't be read at position ${place.at}`, place.key);
        continue;
      }
      while (!this.#move(place, stored, segment)) await log.commit();
      await this.#letOthers(length);
    }
  }

  /** Copies are few between two turns of the event loop, and more when the log is far too long. */
  async #letOthers(bytes: number): Promise<void> {
    const { log, pause, isBehind } = this.#deps;
    this.#copies++;
    this.#bytes += bytes;
    const factor = isBehind() ? BEHIND_FACTOR : 1;
    if (this.#copies < factor * COPIES_AT_ONCE && this.#bytes < factor * COPIED_BYTES_AT_ONCE) return;
    const copied = this.#bytes;
    this.#copies = 0;
    this.#bytes = 0;
    await log.commit();
    await pause(copied);
  }

  /** Looks, appends and applies in one step. False: the log takes no more for now. */
  #move(place: Place, stored: Buffer, segment: Segment): boolean {
    const { state } = this.#deps;
    const { at, key, bodyId } = place;
    if (bodyId !== null) {
      if (!state.isBodyAt(key, bodyId, at)) return true;
      const body = checkBody(stored, place.bytes);
      if (body !== null) return this.#append({ kind: 'move-body', key, bodyId, from: at }, body);
      state.forgetBody(key, bodyId, at);
      this.#deps.onDamage(`the body at log position ${at} fails its checksum`, key);
      return true;
    }
    const entry = key === null ? null : state.index.find(key);
    if (key === null || entry === null || entry.recordAt !== at) return true;
    const loaded = parseAccepted(stored, place.bytes);
    if (loaded !== null) return this.#append({ kind: 'move-record', key, name: loaded.name, ballot: entry.accepted, from: at, record: loaded.record }, null);
    this.#rotten.add(segment.number);
    this.#deps.onDamage(`the record at log position ${at} fails its checksum`, key);
    return true;
  }

  #append(record: LogRecord, body: Buffer | null): boolean {
    const { log, state, now } = this.#deps;
    if (log.failure !== null) throw log.failure;
    try {
      const at = log.append(record, body, 'none');
      state.apply(record, at, body?.length ?? 0, now());
      this.#copiedBytes += at.recordBytes + (body?.length ?? 0);
      return true;
    } catch (error) {
      if (error instanceof DhtError && error.code === 'DHT_ERR_OVERLOADED') return false;
      throw error;
    }
  }

  /** A body in a file is in no segment, whatever the number that stands for its place. */
  #isInside(at: number): boolean {
    return at > BODY_IN_FILE && at >= this.#from && at < this.#to;
  }

  #note(at: number, bytes: number, key: ObjectKey | null, bodyId: BodyId | null): void {
    const segment = this.#isInside(at) ? this.#deps.log.segments.find(at) : null;
    if (segment === null) return;
    this.#places.get(segment.number)?.[Math.floor((at - segment.position) / WINDOW_BYTES)]?.add(at, bytes, key, bodyId);
  }
}

function endOf(segment: Segment): number {
  return segment.end ?? segment.position;
}

const PLACE_BYTES = 47;
const KEY_AT = 11;
const BODY_ID_AT = 31;
const HAS_KEY = 1;
const HAS_BODY_ID = 2;

/** Places in packed memory. */
class PlaceList {
  #bytes = Buffer.alloc(0);
  count = 0;

  add(at: number, bytes: number, key: ObjectKey | null, bodyId: BodyId | null): void {
    const start = this.count * PLACE_BYTES;
    if (start === this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(16 * PLACE_BYTES, 2 * start));
      this.#bytes.copy(grown);
      this.#bytes = grown;
    }
    this.#bytes.writeUIntBE(at, start, 6);
    this.#bytes.writeUInt32BE(bytes, start + 6);
    this.#bytes[start + 10] = (key === null ? 0 : HAS_KEY) | (bodyId === null ? 0 : HAS_BODY_ID);
    if (key !== null) this.#bytes.write(key, start + KEY_AT, 'hex');
    if (bodyId !== null) this.#bytes.write(bodyId, start + BODY_ID_AT, 'hex');
    this.count++;
  }

  get(index: number): Place {
    const start = index * PLACE_BYTES;
    const has = this.#bytes[start + 10] ?? 0;
    return {
      at: this.#bytes.readUIntBE(start, 6),
      bytes: this.#bytes.readUInt32BE(start + 6),
      key: (has & HAS_KEY) === 0 ? null : (this.#bytes.toString('hex', start + KEY_AT, start + BODY_ID_AT) as ObjectKey),
      bodyId: (has & HAS_BODY_ID) === 0 ? null : (this.#bytes.toString('hex', start + BODY_ID_AT, start + PLACE_BYTES) as BodyId),
    };
  }
}
