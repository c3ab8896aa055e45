/**
 * Writes the state of the store, as it is at one boundary of the log, to a checkpoint file while the store goes on working.
 *
 * At the boundary only small things are copied: node state, floors, and references to the staged bodies. The index is copied
 * bucket by bucket as the file grows (see index-snapshot.ts), names by blocks: a name more or less does no harm, for a name
 * counts only together with its register, and the log after the boundary has every name that came since. One slice
 * (BLOCK_BYTES) is packed at a time, between two writes, so the event loop is never held up and memory stays at a few slices.
 *
 * The file counts once it is whole and synced, *the log up to its position is durable*, it has its name, and the directory is
 * synced, in this order: a checkpoint of records that a crash takes away would show what was never acknowledged and, worse,
 * would be ahead of the log.
 * Source: protocol section F.2 "Checkpoint"; [ALICE] "Persistence properties".
 */
import { assert } from '../domain/assert.ts';
import { BinaryWriter } from '../encoding/binary-writer.ts';
import type { Ballot } from '../domain/ballot.ts';
import type { BodyId } from '../domain/ids.ts';
import type { Disk, DiskFile } from '../ports/disk.ts';
import { removeIfThere } from './body-disk.ts';
import {
  BLOCK_BYTES, BLOCK_HEADER_BYTES, CHECKPOINT_HEADER_BYTES, beginBlock, checkpointHeaderBytes, checkpointName, endBlock, type BlockKind,
} from './checkpoint-format.ts';
import { IndexSnapshot } from './index-snapshot.ts';
import { ENTRY_BYTES } from './key-index.ts';
import type { Log, LogBoundary } from './log.ts';
import { recordType, writeLogRecord, type LogRecord } from './log-record.ts';
import { SegmentCensus } from './segment-census.ts';
import type { BodyLocation } from './staged-bodies.ts';
import type { StoreState } from './store-state.ts';

export interface CheckpointWriterDeps {
  readonly disk: Disk;
  readonly log: Log;
  readonly state: StoreState;
  /** Awaited after each slice of so many bytes. Rejects when the store stops. */
  readonly pause: (bytes: number) => Promise<void>;
}

export interface CheckpointWriterOptions {
  /** The log's. */
  readonly directory: string;
  readonly nodeId: string;
  readonly keyBits: number;
  readonly salt: Buffer;
}

export interface Checkpoint {
  readonly position: number;
  readonly bytes: number;
}

/** Bytes after which what was written is synced, so that the last sync, and the log's beside it, stay short. */
const SYNC_BYTES = 8 * 1024 * 1024;
/** Items that are packed without looking how many bytes they take. */
const ITEMS_AT_ONCE = 2_000;

/** Rejects when the disk fails (then no such checkpoint counts), or the store stops; null: the log has failed. */
export async function writeCheckpoint(
  deps: CheckpointWriterDeps, options: CheckpointWriterOptions,
): Promise<{ readonly checkpoint: Checkpoint; readonly census: SegmentCensus } | null> {
  const writing = await new Promise<CheckpointWriter | null>((resolve) => {
    deps.log.atBoundary((boundary) => { resolve(boundary === null ? null : new CheckpointWriter(deps, options, boundary)); });
  });
  if (writing === null) return null;
  const checkpoint = await writing.write();
  return { checkpoint, census: writing.census };
}

class CheckpointWriter {
  readonly #deps: CheckpointWriterDeps;
  readonly #options: CheckpointWriterOptions;
  readonly #boundary: LogBoundary;
  readonly census: SegmentCensus;
  readonly #index: IndexSnapshot;
  readonly #records: readonly LogRecord[];
  readonly #floors: readonly (readonly [number, Ballot])[];
  readonly #staged: { readonly ids: readonly BodyId[]; readonly locations: readonly BodyLocation[] };
  #packing = new BinaryWriter(2 * BLOCK_BYTES);
  #spare = new BinaryWriter(2 * BLOCK_BYTES);
  #openBlock: { readonly kind: BlockKind; readonly at: number } | null = null;
  #blocks = 0;
  #registers = 0;
  #written = 0;
  #unsynced = 0;

  constructor(deps: CheckpointWriterDeps, options: CheckpointWriterOptions, boundary: LogBoundary) {
    const { state, log } = deps;
    this.#deps = deps;
    this.#options = options;
    this.#boundary = { position: boundary.position, sequence: boundary.sequence };
    this.census = new SegmentCensus(log.segments);
    this.#records = state.node.records();
    this.#floors = state.floors.runs();
    // They come before the entries that use them.
    for (const id of state.index.nodeIds()) this.#open('node-ids').hex(id, 16);
    this.#staged = state.stagedNow();
    this.#index = new IndexSnapshot(state.index, (bucket, entries) => { this.#packBucket(bucket, entries); });
  }

  async write(): Promise<Checkpoint> {
    const { disk } = this.#deps;
    const { directory, nodeId, keyBits, salt } = this.#options;
    const { position, sequence } = this.#boundary;
    const path = `${directory}/${checkpointName(position)}`;
    const temporary = `${path}.tmp`;
    let file: DiskFile | null = null;
    try {
      await removeIfThere(disk, temporary);
      file = await disk.open(temporary, 'create');
      await file.write(0, [checkpointHeaderBytes({ keyBits, position, sequence, nodeId }, salt)]);
      this.#written = CHECKPOINT_HEADER_BYTES;
      await this.#writeBlocks(file);
      await file.sync();
      await file.close();
      file = null;
      await disk.rename(temporary, path);
      await disk.syncDirectory(directory);
      return { position, bytes: this.#written };
    } catch (error) {
      await file?.close();
      await removeIfThere(disk, temporary).catch(() => undefined);
      throw error;
    } finally {
      this.#index.end();
    }
  }

  async #writeBlocks(file: DiskFile): Promise<void> {
    const { state, log } = this.#deps;
    // Buckets that change meanwhile come in between: so they have the packing for themselves until they are all out.
    while (this.#index.advance(BLOCK_BYTES) === 'more') await this.#flush(file);
    await this.#flush(file);
    await this.#list(file, 'records', this.#records, (writer, record) => {
      writer.u8(recordType(record.kind));
      const at = writer.length;
      writer.u32(0);
      writeLogRecord(writer, record);
      writer.patchU32(at, writer.length - at - 4);
    });
    await this.#list(file, 'floors', this.#floors, (writer, [bucket, floor]) => {
      writer.u16(bucket);
      writer.ballot(floor);
    });
    for (let after: Buffer | null = null, isFirst = true; isFirst || after !== null; isFirst = false) {
      after = state.names.copyFrom(after, BLOCK_BYTES, (entries) => { this.#open('names').raw(entries); });
      await this.#flush(file);
    }
    const { ids, locations } = this.#staged;
    await this.#list(file, 'staged', locations, (writer, { at, size }, index) => {
      this.census.addBody(at, size);
      writer.hex(ids[index] ?? '', 16);
      writer.u64(at);
      writer.u64(size);
    });
    // Segments below the boundary may have been begun since, so they come last; none goes while a checkpoint is written.
    const { position } = this.#boundary;
    await this.#untilDurable();
    const segments = log.segments.all().filter((segment) => segment.position < position);
    await this.#list(file, 'segments', segments, (writer, segment) => {
      writer.u32(segment.number);
      writer.u64(segment.position);
      writer.u64(Math.min(position, segment.end ?? position));
    });
    const writer = this.#open('end');
    writer.u32(this.#blocks - 1);
    writer.u64(this.#registers);
    await this.#flush(file);
  }

  /** The log up to the boundary. */
  async #untilDurable(): Promise<void> {
    const { log } = this.#deps;
    if (log.durablePosition < this.#boundary.position) await log.commit();
    assert(log.durablePosition >= this.#boundary.position, 'no checkpoint is ahead of the log');
  }

  #packBucket(bucket: number, entries: Buffer): void {
    const writer = this.#open('buckets');
    writer.u16(bucket);
    writer.u32(entries.length);
    writer.raw(entries);
    this.#registers += entries.length / ENTRY_BYTES;
    this.census.addEntries(entries);
  }

  async #list<T>(file: DiskFile, kind: BlockKind, items: readonly T[], write: (writer: BinaryWriter, item: T, index: number) => void): Promise<void> {
    for (let from = 0; from < items.length; from += ITEMS_AT_ONCE) {
      const to = Math.min(items.length, from + ITEMS_AT_ONCE);
      for (let index = from; index < to; index++) write(this.#open(kind), items[index] as T, index);
      await this.#flush(file);
    }
  }

  /** The writer of an open block of this kind. */
  #open(kind: BlockKind): BinaryWriter {
    const open = this.#openBlock;
    if (open !== null && (open.kind !== kind || this.#packing.length - open.at - BLOCK_HEADER_BYTES >= BLOCK_BYTES)) this.#close();
    if (this.#openBlock === null) {
      this.#openBlock = { kind, at: beginBlock(this.#packing, kind) };
      this.#blocks++;
    }
    return this.#packing;
  }

  #close(): void {
    if (this.#openBlock !== null) endBlock(this.#packing, this.#openBlock.at, this.#options.salt);
    this.#openBlock = null;
  }

  /** Writes what is packed; the next slice is packed into other memory meanwhile. */
  async #flush(file: DiskFile): Promise<void> {
    this.#close();
    const full = this.#packing;
    if (full.length === 0) return;
    this.#packing = this.#spare;
    this.#packing.rewind(0);
    this.#spare = full;
    const bytes = full.length;
    await file.write(this.#written, [full.finish()]);
    this.#written += bytes;
    this.#unsynced += bytes;
    if (this.#unsynced >= SYNC_BYTES) {
      await file.sync();
      this.#unsynced = 0;
    }
    await this.#deps.pause(bytes);
  }
}
