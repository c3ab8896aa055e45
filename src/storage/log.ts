/**
 * The append side of the log: records are packed into one buffer as they come, and each batch is one write and one sync.
 *
 * The first change starts a batch at the end of its turn; while a sync runs, the next batch gathers, so that the batch grows
 * with the load by itself and a lone writer waits for nothing (adaptive group commit). At most one batch is under way, which
 * is why at most the last batch can be torn. All changes of a batch share one promise.
 *
 * Positions of records are final as soon as they are appended: the index can name them before they are on disk.
 * A failed write or sync ends the log for good: nobody knows what the medium holds. A full volume is no failure: the whole batch
 * is written again, over whatever there is of it, until there is room; meanwhile nothing of it is promised to anyone.
 * Source: protocol section F.2; [FsyncFailures] "Can applications recover from fsync failures?".
 */
import { crc32 } from 'node:zlib';
import { assert } from '../domain/assert.ts';
import { DhtError } from '../domain/error-catalogue.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import { BinaryWriter } from '../encoding/binary-writer.ts';
import type { Disk } from '../ports/disk.ts';
import {
  BATCH_BYTES_MAX, BATCH_HEADER_BYTES, BODY_PREFIX_BYTES, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, patchBatchHeader, recordCrc,
  segmentHeaderBytes, segmentName,
} from './log-format.ts';
import { recordType, writeLogRecord, type LogRecord } from './log-record.ts';
import type { LogSegments, Segment } from './log-segments.ts';

export interface LogDeps {
  readonly disk: Disk;
  /** Called as a batch is closed: the last moment to append to it. */
  readonly onSeal: () => void;
  /** Called as a batch has become durable. */
  readonly onDurable: () => void;
  /** Runs a write until the volume has room for it. */
  readonly untilRoom: (write: () => Promise<void>) => Promise<void>;
  /** Called once, when a write or sync failed. */
  readonly onFailure: (error: unknown) => void;
}

export interface LogOptions {
  readonly directory: string;
  readonly nodeId: string;
  readonly keyBits: number;
  readonly salt: Buffer;
  /** Bytes after which a new segment begins. Higher: fewer files, coarser reclaiming. */
  readonly segmentBytes: number;
}

/** Where a batch begins. */
export interface LogBoundary {
  readonly position: number;
  /** Of the batch. */
  readonly sequence: number;
}

/** Where the log ends. */
export interface LogEnd extends LogBoundary {
  /** Length of the last segment's file, of which the end may be zeros. */
  readonly fileBytes: number;
}

export interface Appended {
  readonly recordAt: number;
  readonly recordBytes: number;
  /** 0: the record has no body. */
  readonly bodyAt: number;
}

interface Batch {
  readonly writer: BinaryWriter;
  readonly position: number;
  readonly sequence: number;
  count: number;
  /** Keys that the batch changes; `changesAll` when it may change any. */
  readonly keys: Set<ObjectKey>;
  changesAll: boolean;
  readonly done: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const WRITER_BYTES = 64 * 1024;
/** A buffer that one huge batch has blown up beyond this isn't kept. */
const WRITER_KEPT_BYTES_MAX = 16 * 1024 * 1024;
/** Part of a segment that is zeroed ahead at a time: 1 MiB of 64. */
const ZEROED_PART = 64;
/** Part of the zeroed bytes up to which a batch is small. */
const SMALL_BATCH_PART = 8;
const NOTHING = Buffer.alloc(0);
const EMPTY_BATCH_HEADER = Buffer.alloc(BATCH_HEADER_BYTES);

export class Log {
  readonly #deps: LogDeps;
  readonly #options: LogOptions;
  readonly #segments: LogSegments;
  #durablePosition: number;
  #fileBytes: number;
  #filling: Batch;
  /** The batch under way. */
  #writing: Batch | null = null;
  /** The buffer of the last batch, to be used again. */
  #spare: BinaryWriter = new BinaryWriter(WRITER_BYTES);
  #flushing: Promise<void> | null = null;
  #atBoundary: ((boundary: LogBoundary | null) => void)[] = [];
  readonly #zeros: Buffer;
  #failure: Error | null = null;

  constructor(deps: LogDeps, options: LogOptions, segments: LogSegments, end: LogEnd) {
    this.#deps = deps;
    this.#options = options;
    this.#segments = segments;
    this.#durablePosition = end.position;
    this.#fileBytes = end.fileBytes;
    this.#zeros = Buffer.alloc(Math.floor(options.segmentBytes / ZEROED_PART));
    this.#filling = newBatch(new BinaryWriter(WRITER_BYTES), end.position, end.sequence);
  }

  /** Everything below is durable. */
  get durablePosition(): number {
    return this.#durablePosition;
  }

  /** Null while all is well. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** Bytes of all segments together. */
  get bytes(): number {
    return this.#segments.bytes(this.#durablePosition);
  }

  get segments(): LogSegments {
    return this.#segments;
  }

  /**
   * Calls once, as soon as the batch that fills is empty: the state in memory is then exactly that of the log up to the
   * boundary. The batches below it need not be durable yet. Null: the log has failed. A batch that nobody waits for is begun:
   * without that, the boundary would come with somebody else's next change, or never.
   */
  atBoundary(run: (boundary: LogBoundary | null) => void): void {
    if (this.#failure !== null) run(null);
    else if (this.#filling.count > 0) {
      this.#atBoundary.push(run);
      void this.commit();
    } else run(this.#filling);
  }

  /** Whether bytes of the position are, or will be, on disk: false once its segment was removed. */
  holds(position: number): boolean {
    return position >= this.#durablePosition || this.#segments.find(position) !== null;
  }

  /**
   * Puts a record into the batch that fills. Throws, and leaves nothing behind: RangeError when it can't be encoded,
   * DHT_ERR_OVERLOADED when it has a body and as much as a batch holds waits for the disk.
   */
  append(record: LogRecord, body: Buffer | null, changes: ObjectKey | 'all' | 'none'): Appended {
    const batch = this.#filling;
    const { writer } = batch;
    const start = writer.length;
    try {
      writer.u32(0);
      writer.u8(recordType(record.kind));
      writer.bool(body !== null);
      writer.u32(0);
      writeLogRecord(writer, record);
      const recordBytes = writer.length - start;
      writer.patchU32(start + 6, recordBytes - RECORD_HEADER_BYTES);
      writer.patchU32(start, recordCrc(writer.view(start)));
      if (body !== null) writeBody(writer, body);
      if (body !== null && writer.length > BATCH_BYTES_MAX) throw new DhtError('DHT_ERR_OVERLOADED', 'too many bodies wait for the disk');
      batch.count++;
      if (changes === 'all') batch.changesAll = true;
      else if (changes !== 'none') batch.keys.add(changes);
      const recordAt = batch.position + start;
      return { recordAt, recordBytes, bodyAt: body === null ? 0 : recordAt + recordBytes };
    } catch (error) {
      writer.rewind(start);
      throw error;
    }
  }

  /** Resolves when everything appended so far is durable. */
  commit(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#filling.count > 0) {
      this.#flushing ??= this.#flush();
      return this.#filling.done;
    }
    return this.#writing?.done ?? Promise.resolve();
  }

  /** Resolves when every change of the key so far is durable. */
  settled(key: ObjectKey): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (changes(this.#filling, key)) return this.commit();
    return this.#writing !== null && changes(this.#writing, key) ? this.#writing.done : Promise.resolve();
  }

  /** Durable bytes from `position` on, all within one batch. */
  async read(position: number, length: number): Promise<Buffer> {
    if (position + length > this.#durablePosition) await this.commit();
    return this.#segments.read(position, length);
  }

  /** Finishes what is under way; later changes are refused. */
  async close(): Promise<void> {
    await this.commit().catch(() => undefined);
    await this.#flushing;
    this.#failure ??= new Error('the log is closed');
    await this.#segments.close();
  }

  async #flush(): Promise<void> {
    while (this.#filling.count > 0) {
      // The rest of this turn's changes belong to the same batch.
      await Promise.resolve();
      const batch = this.#seal();
      try {
        await this.#deps.untilRoom(() => this.#writeDurably(batch));
      } catch (error) {
        this.#fail(error, batch);
        return;
      }
      this.#durablePosition = batch.position + batch.writer.length;
      this.#writing = null;
      this.#spare = batch.writer.length > WRITER_KEPT_BYTES_MAX ? new BinaryWriter(WRITER_BYTES) : batch.writer;
      batch.resolve();
      this.#deps.onDurable();
      // Whoever waited for this batch may fill the next one before it is closed.
      await Promise.resolve();
    }
    this.#flushing = null;
  }

  #seal(): Batch {
    this.#deps.onSeal();
    const batch = this.#filling;
    this.#writing = batch;
    this.#filling = newBatch(this.#spare, batch.position + batch.writer.length, batch.sequence + 1);
    this.#tellBoundary(this.#filling);
    return batch;
  }

  #tellBoundary(boundary: LogBoundary | null): void {
    const waiting = this.#atBoundary;
    this.#atBoundary = [];
    for (const run of waiting) run(boundary);
  }

  async #writeDurably(batch: Batch): Promise<void> {
    let segment = this.#segments.last();
    const isFull = segment !== null && batch.position > segment.position
      && batch.position - segment.position + batch.writer.length + SEGMENT_HEADER_BYTES > this.#options.segmentBytes;
    if (segment === null || isFull) {
      segment = await this.#beginSegment((segment?.number ?? 0) + 1, batch);
    }
    patchBatchHeader(batch.writer, {
      segment: segment.number, count: batch.count, sequence: batch.sequence, position: batch.position,
      durablePosition: this.#durablePosition, payloadBytes: batch.writer.length - BATCH_HEADER_BYTES,
    }, this.#options.salt);
    const offset = SEGMENT_HEADER_BYTES + batch.position - segment.position;
    await segment.file.writeDurably(offset, [batch.writer.finish(), this.#zerosAhead(offset + batch.writer.length, batch.writer.length)]);
  }

  /**
   * A small batch that passes the end of the file takes zeros for the next ones along: they overwrite, so that their syncs
   * have no new length to put into the file system's journal, which takes as long again. Large batches are spared: they
   * share that cost among many changes already, and writing everything twice would cost them more.
   */
  #zerosAhead(end: number, batchBytes: number): Buffer {
    if (end <= this.#fileBytes) return NOTHING;
    const isSmall = batchBytes * SMALL_BATCH_PART <= this.#zeros.length;
    const zeroBytes = isSmall ? Math.max(0, Math.min(this.#zeros.length, this.#options.segmentBytes - end)) : 0;
    this.#fileBytes = end + zeroBytes;
    return this.#zeros.subarray(0, zeroBytes);
  }

  /** A segment's header and name are durable before its first batch is written. */
  async #beginSegment(number: number, { position, sequence }: LogBoundary): Promise<Segment> {
    const { directory, nodeId, keyBits, salt } = this.#options;
    const path = `${directory}/${segmentName(number)}`;
    const file = await this.#deps.disk.open(path, 'create');
    try {
      await file.write(0, [segmentHeaderBytes({ number, keyBits, position, sequence, nodeId }, salt)]);
      await file.sync();
      await this.#deps.disk.syncDirectory(directory);
    } catch (error) {
      await file.close();
      // A full volume: the next attempt begins it anew.
      await this.#deps.disk.remove(path).catch(() => undefined);
      throw error;
    }
    const segment = this.#segments.add(number, position, file);
    this.#fileBytes = SEGMENT_HEADER_BYTES;
    return segment;
  }

  #fail(error: unknown, batch: Batch): void {
    assert(this.#failure === null, 'a log fails once');
    this.#failure = new DhtError('DHT_ERR_DISK_FAILED', 'the disk failed to keep a write', { cause: error });
    batch.reject(this.#failure);
    this.#filling.reject(this.#failure);
    this.#tellBoundary(null);
    this.#deps.onFailure(error);
  }
}

function changes(batch: Batch, key: ObjectKey): boolean {
  return batch.changesAll || batch.keys.has(key);
}

function newBatch(writer: BinaryWriter, position: number, sequence: number): Batch {
  writer.rewind(0);
  writer.raw(EMPTY_BATCH_HEADER);
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  // A change that nobody waits for must not end the process by itself: a failure reaches it through onFailure.
  promise.catch(() => undefined);
  return { writer, position, sequence, count: 0, keys: new Set(), changesAll: false, done: promise, resolve: () => { resolve(undefined); }, reject };
}

function writeBody(writer: BinaryWriter, body: Buffer): void {
  const start = writer.length;
  writer.u32(0);
  writer.u32(body.length);
  writer.raw(body);
  writer.patchU32(start, crc32(writer.view(start + 4)));
}

/** The bytes of a body as `read` from its position, or null when they aren't what was written. */
export function checkBody(stored: Buffer, size: number): Buffer | null {
  if (stored.length !== BODY_PREFIX_BYTES + size || stored.readUInt32BE(4) !== size) return null;
  return crc32(stored.subarray(4)) === stored.readUInt32BE(0) ? stored.subarray(BODY_PREFIX_BYTES) : null;
}
