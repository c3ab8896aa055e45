/**
 * Reads the log back at start and tells a torn tail from rot.
 *
 * A batch is written only after the one before it is durable and says so. So the bytes after the last valid batch are either
 * zeros, or one torn batch that nobody was promised: cut off. But where a *later* batch is found that says "everything up to
 * here was durable", or a later segment begins further on, acknowledged data has rotted: the node must not go on, and nothing
 * is changed on disk. That the very last batch has rotted can't be told from a torn one; peers that remember this node's log
 * position find it (rule R16).
 *
 * With a checkpoint only what came after it is read and repeated. The segments before it are opened, not read: what is in
 * them is checked when it is used, and some may have been removed since.
 *
 * A last batch that is whole was perhaps never synced: its writer was killed, or a sync failed and left it in the page cache
 * alone, marked as clean. From now on it is shown to others, so its caller writes it again, durably.
 *
 * Recovery only reads; its caller cuts the tail and writes that batch once all is known to be well.
 * Cost: one pass over the repeated part in windows. Source: protocol section F.2 "Recovery rule"; [ProtocolAware18] "Crash-corruption
 * disentanglement"; [FsyncFailures] "Can applications recover from fsync failures?".
 */
import { crc32 } from 'node:zlib';
import { must } from '../domain/assert.ts';
import { BinaryReader, DecodeError } from '../encoding/binary-reader.ts';
import type { Disk } from '../ports/disk.ts';
import type { SegmentPlace } from './checkpoint-reader.ts';
import { FileWindows, WINDOW_BYTES } from './file-windows.ts';
import type { Appended, LogBoundary, LogEnd } from './log.ts';
import {
  BATCH_HEADER_BYTES, BATCH_MAGIC, BODY_PREFIX_BYTES, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, parseBatchHeader, parseSegmentHeader,
  parseSegmentName, recordCrc, segmentName, type BatchHeader, type SegmentHeader,
} from './log-format.ts';
import { readLogRecord, type LogRecord } from './log-record.ts';
import type { Segment } from './log-segments.ts';

export interface LogRecoveryOptions {
  readonly directory: string;
  readonly keyBits: number;
  readonly salt: Buffer;
}

/** Repeats one change. `bodyBytes`: size of the body behind the record. */
export type ApplyRecord = (record: LogRecord, at: Appended, bodyBytes: number) => void;

/** Where the repetition begins: what is before is in a checkpoint. */
export interface ReplayStart extends LogBoundary {
  /** Those that the checkpoint knows of; the last one is where the repetition begins. */
  readonly segments: readonly SegmentPlace[];
}

export interface LogRecovered {
  readonly kind: 'recovered';
  readonly segments: readonly Segment[];
  readonly end: LogEnd;
  /** Length to which the last segment has to be cut; null when it ends well. */
  readonly cutBytes: number | null;
  /** The last batch of the last segment, which may be in the page cache alone; null when that segment has none. */
  readonly lastBatch: BatchBytes | null;
  /** Segments to be removed: a last one whose header never got durable, and those that were removed before. */
  readonly leftovers: readonly string[];
}

export interface BatchBytes {
  readonly offset: number;
  readonly bytes: Buffer;
}

export type LogRecoveryOutcome = LogRecovered | { readonly kind: 'newer'; readonly version: number } | LogDamage;

export interface LogDamage {
  readonly kind: 'damaged';
  readonly file: string;
  readonly offset: number;
  readonly detail: string;
}

/** `start` null: the whole log is repeated, from its first segment on. */
export async function recoverLog(disk: Disk, options: LogRecoveryOptions, start: ReplayStart | null, apply: ApplyRecord): Promise<LogRecoveryOutcome> {
  const recovery = new LogRecovery(disk, options, apply);
  let outcome: LogRecoveryOutcome | null = null;
  try {
    outcome = await recovery.run(start);
    return outcome;
  } finally {
    if (outcome?.kind !== 'recovered') for (const segment of recovery.segments) await segment.file.close();
  }
}

type Opened = { readonly kind: 'opened'; readonly source: FileWindows; readonly header: SegmentHeader | null } | Exclude<LogRecoveryOutcome, LogRecovered>;

class LogRecovery {
  readonly #disk: Disk;
  readonly #options: LogRecoveryOptions;
  readonly #apply: ApplyRecord;
  readonly segments: (Segment & { end: number | null })[] = [];
  readonly #leftovers: string[] = [];

  constructor(disk: Disk, options: LogRecoveryOptions, apply: ApplyRecord) {
    this.#disk = disk;
    this.#options = options;
    this.#apply = apply;
  }

  async run(start: ReplayStart | null): Promise<LogRecoveryOutcome> {
    const numbers = (await this.#disk.list(this.#options.directory)).map(parseSegmentName).filter((number) => number !== null).sort((a, b) => a - b);
    const known = new Map(start?.segments.map((place) => [place.number, place]));
    const first = start?.segments.at(-1)?.number ?? 1;
    for (const number of numbers.filter((number) => number < first)) {
      const place = known.get(number);
      if (place === undefined) {
        this.#leftovers.push(this.#path(number));
        continue;
      }
      const wrong = await this.#open(number, (header) => header?.position === place.position);
      if (wrong.kind !== 'opened') return wrong;
      must(this.segments.at(-1), 'segment just opened').end = place.end;
    }
    return this.#repeat(numbers.filter((number) => number >= first), first, start, known.get(first) ?? null);
  }

  async #repeat(numbers: readonly number[], first: number, start: ReplayStart | null, firstPlace: SegmentPlace | null): Promise<LogRecoveryOutcome> {
    let end: LogEnd = { position: start?.position ?? 0, sequence: start?.sequence ?? 1, fileBytes: 0 };
    let cutBytes: number | null = null;
    let lastBatch: BatchBytes | null = null;
    if (numbers.length === 0 && start !== null) return this.#damage(first, 0, `segment ${first} is missing`);
    for (const [index, number] of numbers.entries()) {
      const damaged = (offset: number, detail: string): LogDamage => this.#damage(number, offset, detail);
      if (number !== first + index) return damaged(0, `segment ${first + index} is missing`);
      const opened = await this.#open(number);
      if (opened.kind !== 'opened') return opened;
      const { source, header } = opened;
      const { salt } = this.#options;
      if (header === null) {
        const isUnborn = index === numbers.length - 1 && number !== firstPlace?.number
          && (await findTail(source, SEGMENT_HEADER_BYTES, salt, end.position)) === 'zeros';
        if (!isUnborn) return damaged(0, 'the segment header is invalid');
        await this.segments.pop()?.file.close();
        return { kind: 'recovered', segments: this.segments, end, cutBytes, lastBatch, leftovers: [...this.#leftovers, this.#path(number)] };
      }
      const isAtPlace = number === firstPlace?.number;
      const wantedAt = isAtPlace ? firstPlace.position : end.position;
      if (header.position !== wantedAt || (!isAtPlace && header.sequence !== end.sequence)) {
        return damaged(0, `the segment begins at position ${header.position}, but the one before it ends at ${end.position}`);
      }
      const before = this.segments.at(-2);
      if (before !== undefined && !isAtPlace) before.end = header.position;
      const from = SEGMENT_HEADER_BYTES + end.position - header.position;
      if (from > source.size) return damaged(source.size, `the log ends before position ${end.position}, where a checkpoint was taken`);
      const read = await readBatches(source, number, from, end, salt, this.#apply);
      if (read.kind === 'not-understood') return damaged(read.offset, read.detail);
      const tail = await findTail(source, read.offset, salt, read.end.position);
      if (tail === 'rotten') return damaged(read.offset, 'acknowledged data before a later batch is unreadable');
      cutBytes = tail === 'torn' ? read.offset : null;
      end = { ...read.end, fileBytes: cutBytes ?? source.size };
      lastBatch = read.lastAt === null ? null : { offset: read.lastAt, bytes: Buffer.from(await source.view(read.lastAt, read.offset - read.lastAt)) };
    }
    return { kind: 'recovered', segments: this.segments, end, cutBytes, lastBatch, leftovers: this.#leftovers };
  }

  /** Opens the segment as the last one so far. `header` null: it has none that is valid. */
  async #open(number: number, isRight: (header: SegmentHeader | null) => boolean = () => true): Promise<Opened> {
    const { keyBits, salt } = this.#options;
    const file = await this.#disk.open(this.#path(number), 'update');
    this.segments.push({ number, position: 0, end: null, file });
    const source = new FileWindows(file, await file.size());
    // Just the header: most segments are only opened, and a sector further back that can't be read is no matter of the start.
    const parsed = parseSegmentHeader(await file.read(0, Math.min(SEGMENT_HEADER_BYTES, source.size)), salt);
    if (parsed.kind === 'newer') return parsed;
    const header = parsed.kind === 'header' ? parsed.header : null;
    if (!isRight(header)) return this.#damage(number, 0, 'the segment header is invalid');
    if (header !== null && (header.number !== number || header.keyBits !== keyBits)) return this.#damage(number, 0, 'the segment header is of another log');
    if (header !== null) this.segments[this.segments.length - 1] = { number, position: header.position, end: null, file };
    return { kind: 'opened', source, header };
  }

  #damage(number: number, offset: number, detail: string): LogDamage {
    return { kind: 'damaged', file: this.#path(number), offset, detail };
  }

  #path(number: number): string {
    return `${this.#options.directory}/${segmentName(number)}`;
  }
}

type BatchesRead =
  | { readonly kind: 'read'; readonly offset: number; readonly lastAt: number | null; readonly end: Omit<LogEnd, 'fileBytes'> }
  | { readonly kind: 'not-understood'; readonly offset: number; readonly detail: string };

/** Applies valid batches one after the other, up to the first that isn't. */
async function readBatches(
  source: FileWindows, number: number, from: number, start: LogEnd, salt: Buffer, apply: ApplyRecord,
): Promise<BatchesRead> {
  let { position, sequence } = start;
  let offset = from;
  let lastAt: number | null = null;
  for (;;) {
    const header = parseBatchHeader(await source.view(offset, BATCH_HEADER_BYTES), 0, salt);
    const isNext = header !== null && header.segment === number && header.position === position && header.sequence === sequence;
    if (!isNext) return { kind: 'read', offset, lastAt, end: { position, sequence } };
    const payload = await source.view(offset + BATCH_HEADER_BYTES, header.payloadBytes);
    const records = recordsOf(payload, header);
    if (records === null) return { kind: 'read', offset, lastAt, end: { position, sequence } };
    for (const found of records) {
      let record: LogRecord;
      try {
        record = readLogRecord(found.type, new BinaryReader(payload, found.start + RECORD_HEADER_BYTES, found.end));
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        return { kind: 'not-understood', offset: offset + BATCH_HEADER_BYTES + found.start, detail: error.message };
      }
      const recordAt = position + BATCH_HEADER_BYTES + found.start;
      const recordBytes = found.end - found.start;
      apply(record, { recordAt, recordBytes, bodyAt: found.bodyBytes === null ? 0 : recordAt + recordBytes }, found.bodyBytes ?? 0);
    }
    lastAt = offset;
    position += BATCH_HEADER_BYTES + header.payloadBytes;
    offset += BATCH_HEADER_BYTES + header.payloadBytes;
    sequence++;
  }
}

interface FoundRecord {
  readonly type: number;
  readonly start: number;
  readonly end: number;
  readonly bodyBytes: number | null;
}

/** The records of a batch's payload; null unless every byte of it checks out. */
function recordsOf(payload: Buffer, header: BatchHeader): readonly FoundRecord[] | null {
  if (payload.length !== header.payloadBytes) return null;
  const records: FoundRecord[] = [];
  let at = 0;
  for (let i = 0; i < header.count; i++) {
    if (at + RECORD_HEADER_BYTES > payload.length) return null;
    const end = at + RECORD_HEADER_BYTES + payload.readUInt32BE(at + 6);
    if (end > payload.length || recordCrc(payload.subarray(at, end)) !== payload.readUInt32BE(at)) return null;
    let bodyBytes: number | null = null;
    let next = end;
    if (payload[at + 5] === 1) {
      if (end + BODY_PREFIX_BYTES > payload.length) return null;
      bodyBytes = payload.readUInt32BE(end + 4);
      next = end + BODY_PREFIX_BYTES + bodyBytes;
      if (next > payload.length || crc32(payload.subarray(end + 4, next)) !== payload.readUInt32BE(end)) return null;
    }
    records.push({ type: payload[at + 4] ?? 0, start: at, end, bodyBytes });
    at = next;
  }
  return at === payload.length ? records : null;
}

/** What lies behind the last valid batch, which ends at log position `position`. */
async function findTail(source: FileWindows, from: number, salt: Buffer, position: number): Promise<'zeros' | 'torn' | 'rotten'> {
  let found: 'zeros' | 'torn' = 'zeros';
  // Windows overlap by a header, so that none is missed between two of them.
  for (let offset = from; offset < source.size; offset += WINDOW_BYTES - BATCH_HEADER_BYTES) {
    const window = await source.view(offset, Math.min(WINDOW_BYTES, source.size - offset));
    if (!isZeros(window)) found = 'torn';
    for (let at = window.indexOf(BATCH_MAGIC); at >= 0; at = window.indexOf(BATCH_MAGIC, at + 1)) {
      const header = parseBatchHeader(window, at, salt);
      if (header !== null && header.durablePosition > position) return 'rotten';
    }
  }
  return found;
}

function isZeros(bytes: Buffer): boolean {
  return bytes.length === 0 || (bytes[0] === 0 && bytes.compare(bytes, 1, bytes.length, 0, bytes.length - 1) === 0);
}
