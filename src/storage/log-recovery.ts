/**
 * Reads the log back at start and tells a torn tail from rot.
 *
 * A batch is written only after the one before it is durable and says so. So the bytes after the last valid batch are either
 * zeros, or one torn batch that nobody was promised: cut off. But where a *later* batch is found that says "everything up to
 * here was durable", or a later segment begins further on, acknowledged data has rotted: the node must not go on, and nothing
 * is changed on disk. That the very last batch has rotted can't be told from a torn one; peers that remember this node's log
 * position find it (rule R16).
 *
 * Recovery only reads; its caller cuts the tail once all is known to be well.
 * Cost: one pass over the log in windows. Source: protocol section F.2 "Recovery rule"; [PAR] "Crash-corruption
 * disentanglement".
 */
import { crc32 } from 'node:zlib';
import { BinaryReader, DecodeError } from '../encoding/binary-reader.ts';
import type { Disk, DiskFile } from '../ports/disk.ts';
import type { Appended, LogEnd, Segment } from './log.ts';
import {
  BATCH_HEADER_BYTES, BATCH_MAGIC, BODY_PREFIX_BYTES, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, parseBatchHeader, parseSegmentHeader,
  parseSegmentName, recordCrc, segmentName, type BatchHeader,
} from './log-format.ts';
import { readLogRecord, type LogRecord } from './log-record.ts';

export interface LogRecoveryOptions {
  readonly directory: string;
  readonly keyBits: number;
  readonly salt: Buffer;
}

/** Repeats one change. `bodyBytes`: size of the body behind the record. */
export type ApplyRecord = (record: LogRecord, at: Appended, bodyBytes: number) => void;

export interface LogRecovered {
  readonly kind: 'recovered';
  readonly segments: readonly Segment[];
  readonly end: LogEnd;
  /** Length to which the last segment has to be cut; null when it ends well. */
  readonly cutBytes: number | null;
  /** A last segment whose header never got durable: to be removed. */
  readonly unborn: string | null;
}

export type LogRecoveryOutcome = LogRecovered | { readonly kind: 'newer'; readonly version: number } | LogDamage;

export interface LogDamage {
  readonly kind: 'damaged';
  readonly file: string;
  readonly offset: number;
  readonly detail: string;
}

/** Bytes read at a time. */
const WINDOW_BYTES = 4 * 1024 * 1024;

export async function recoverLog(disk: Disk, options: LogRecoveryOptions, apply: ApplyRecord): Promise<LogRecoveryOutcome> {
  const segments: Segment[] = [];
  let outcome: LogRecoveryOutcome | null = null;
  try {
    outcome = await readSegments(disk, options, apply, segments);
    return outcome;
  } finally {
    if (outcome?.kind !== 'recovered') for (const segment of segments) await segment.file.close();
  }
}

async function readSegments(disk: Disk, options: LogRecoveryOptions, apply: ApplyRecord, segments: Segment[]): Promise<LogRecoveryOutcome> {
  const { directory, salt, keyBits } = options;
  const numbers = (await disk.list(directory)).map(parseSegmentName).filter((number) => number !== null).sort((a, b) => a - b);
  let end: LogEnd = { position: 0, sequence: 1, fileBytes: 0 };
  let cutBytes: number | null = null;
  for (const [index, number] of numbers.entries()) {
    const path = `${directory}/${segmentName(number)}`;
    const damaged = (offset: number, detail: string): LogDamage => ({ kind: 'damaged', file: path, offset, detail });
    if (number !== index + 1) return damaged(0, `segment ${index + 1} is missing`);
    const file = await disk.open(path, 'update');
    const source = new SegmentSource(file, await file.size());
    const parsed = parseSegmentHeader(await source.view(0, SEGMENT_HEADER_BYTES), salt);
    if (parsed.kind === 'invalid' && number === numbers.length && (await findTail(source, SEGMENT_HEADER_BYTES, salt, end.position)) === 'zeros') {
      await file.close();
      return { kind: 'recovered', segments, end, cutBytes, unborn: path };
    }
    segments.push({ number, position: parsed.kind === 'header' ? parsed.header.position : 0, file });
    if (parsed.kind === 'invalid') return damaged(0, 'the segment header is invalid');
    if (parsed.kind === 'newer') return parsed;
    const { header } = parsed;
    if (header.number !== number || header.keyBits !== keyBits) return damaged(0, 'the segment header is of another log');
    if (header.position !== end.position || header.sequence !== end.sequence) {
      return damaged(0, `the segment begins at position ${header.position}, but the one before it ends at ${end.position}`);
    }
    const read = await readBatches(source, header.number, end, salt, apply);
    if (read.kind === 'not-understood') return damaged(read.offset, read.detail);
    const tail = await findTail(source, read.offset, salt, read.end.position);
    if (tail === 'rotten') return damaged(read.offset, 'acknowledged data before a later batch is unreadable');
    cutBytes = tail === 'torn' ? read.offset : null;
    end = { ...read.end, fileBytes: cutBytes ?? source.size };
  }
  return { kind: 'recovered', segments, end, cutBytes, unborn: null };
}

type BatchesRead =
  | { readonly kind: 'read'; readonly offset: number; readonly end: Omit<LogEnd, 'fileBytes'> }
  | { readonly kind: 'not-understood'; readonly offset: number; readonly detail: string };

/** Applies valid batches one after the other, up to the first that isn't. */
async function readBatches(source: SegmentSource, number: number, start: LogEnd, salt: Buffer, apply: ApplyRecord): Promise<BatchesRead> {
  let { position, sequence } = start;
  let offset = SEGMENT_HEADER_BYTES;
  for (;;) {
    const header = parseBatchHeader(await source.view(offset, BATCH_HEADER_BYTES), 0, salt);
    const isNext = header !== null && header.segment === number && header.position === position && header.sequence === sequence;
    if (!isNext) return { kind: 'read', offset, end: { position, sequence } };
    const payload = await source.view(offset + BATCH_HEADER_BYTES, header.payloadBytes);
    const records = recordsOf(payload, header);
    if (records === null) return { kind: 'read', offset, end: { position, sequence } };
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
async function findTail(source: SegmentSource, from: number, salt: Buffer, position: number): Promise<'zeros' | 'torn' | 'rotten'> {
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

/** A segment file read in large windows. */
class SegmentSource {
  readonly #file: DiskFile;
  readonly size: number;
  #window: Buffer = Buffer.alloc(0);
  #windowFrom = 0;

  constructor(file: DiskFile, size: number) {
    this.#file = file;
    this.size = size;
  }

  /** Up to `length` bytes from `offset`; valid until the next call. */
  async view(offset: number, length: number): Promise<Buffer> {
    const available = Math.max(0, Math.min(length, this.size - offset));
    if (offset < this.#windowFrom || offset + available > this.#windowFrom + this.#window.length) {
      this.#window = await this.#file.read(offset, Math.min(Math.max(available, WINDOW_BYTES), Math.max(0, this.size - offset)));
      this.#windowFrom = offset;
    }
    return this.#window.subarray(offset - this.#windowFrom, offset - this.#windowFrom + available);
  }
}
