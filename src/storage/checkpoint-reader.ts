/**
 * Reads a checkpoint into an empty state. All of it is checked: a checkpoint with one wrong byte counts as none, and the
 * caller throws away the state that was half filled. Then an older one and a longer piece of the log give the same state.
 * Source: protocol section F.2 "Checkpoint".
 */
import type { Ballot } from '../domain/ballot.ts';
import type { BodyId, NodeId } from '../domain/ids.ts';
import type { MonotonicMs } from '../domain/instant.ts';
import { assertNever } from '../domain/assert.ts';
import { BinaryReader, DecodeError } from '../encoding/binary-reader.ts';
import type { Disk } from '../ports/disk.ts';
import {
  BLOCK_HEADER_BYTES, CHECKPOINT_HEADER_BYTES, isWholeBlock, parseBlockHeader, parseCheckpointHeader, type BlockKind,
} from './checkpoint-format.ts';
import { FileWindows } from './file-windows.ts';
import { ENTRY_BYTES } from './key-index.ts';
import type { LogBoundary } from './log.ts';
import { readLogRecord } from './log-record.ts';
import type { StoreState } from './store-state.ts';

/** A segment as the checkpoint found it. */
export interface SegmentPlace {
  readonly number: number;
  readonly position: number;
  /** At most the checkpoint's position: there the last one may go on. */
  readonly end: number;
}

export interface CheckpointRead extends LogBoundary {
  readonly kind: 'read';
  readonly bytes: number;
  /** By position; never empty. */
  readonly segments: readonly SegmentPlace[];
}

export type CheckpointOutcome =
  | CheckpointRead
  | { readonly kind: 'newer'; readonly version: number }
  | { readonly kind: 'damaged'; readonly offset: number; readonly detail: string };

export interface CheckpointReaderOptions {
  readonly keyBits: number;
  readonly salt: Buffer;
}

/** `state`: empty; of no use unless the outcome is `read`. Rejects only with errors of the disk itself. */
export async function readCheckpoint(
  disk: Disk, path: string, options: CheckpointReaderOptions, state: StoreState, now: MonotonicMs,
): Promise<CheckpointOutcome> {
  const file = await disk.open(path, 'read');
  try {
    return await readBlocks(new FileWindows(file, await file.size()), options, state, now);
  } finally {
    await file.close();
  }
}

async function readBlocks(source: FileWindows, options: CheckpointReaderOptions, state: StoreState, now: MonotonicMs): Promise<CheckpointOutcome> {
  const { keyBits, salt } = options;
  const parsed = parseCheckpointHeader(await source.view(0, CHECKPOINT_HEADER_BYTES), salt);
  if (parsed.kind === 'newer') return parsed;
  if (parsed.kind === 'invalid') return { kind: 'damaged', offset: 0, detail: 'the header is invalid' };
  const { position, sequence } = parsed.header;
  if (parsed.header.keyBits !== keyBits) return { kind: 'damaged', offset: 0, detail: 'it is of another store' };
  const segments: SegmentPlace[] = [];
  let offset = CHECKPOINT_HEADER_BYTES;
  for (let blocks = 0; ; blocks++) {
    const damaged = (detail: string): CheckpointOutcome => ({ kind: 'damaged', offset, detail });
    const header = parseBlockHeader(await source.view(offset, BLOCK_HEADER_BYTES));
    if (header === null) return damaged('it ends too early');
    const blockBytes = BLOCK_HEADER_BYTES + header.payloadBytes;
    const block = await source.view(offset, blockBytes);
    if (block.length !== blockBytes || !isWholeBlock(block, salt)) return damaged('a block fails its checksum');
    try {
      const reader = new BinaryReader(block, BLOCK_HEADER_BYTES);
      if (header.kind === 'end') {
        const isComplete = reader.u32() === blocks && reader.u64() === state.index.registers && segments.length > 0;
        if (!isComplete || offset + blockBytes !== source.size) return damaged('blocks are missing');
        return { kind: 'read', position, sequence, bytes: source.size, segments };
      }
      while (reader.remaining > 0) readItem(header.kind, reader, state, segments, now);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return damaged(error.message);
    }
    offset += blockBytes;
  }
}

function readItem(kind: Exclude<BlockKind, 'end'>, reader: BinaryReader, state: StoreState, segments: SegmentPlace[], now: MonotonicMs): void {
  switch (kind) {
    case 'records': {
      const type = reader.u8();
      const bytes = reader.bytes(reader.remaining);
      state.apply(readLogRecord(type, new BinaryReader(bytes)), { recordAt: 0, recordBytes: 0, bodyAt: 0 }, 0, now);
      return;
    }
    case 'floors': {
      const runs: [number, Ballot][] = [];
      while (reader.remaining > 0) runs.push([reader.u16(), reader.ballot()]);
      state.floors.load(runs);
      return;
    }
    case 'node-ids': {
      const ids: NodeId[] = [];
      while (reader.remaining > 0) ids.push(reader.hex(16) as NodeId);
      state.index.loadNodeIds(ids);
      return;
    }
    case 'buckets': {
      const bucket = reader.u16();
      const entries = reader.bytes(reader.remaining);
      if (entries.length % ENTRY_BYTES !== 0) throw new DecodeError('a bucket of broken entries');
      state.index.loadBucket(bucket, entries);
      return;
    }
    case 'names':
      state.names.loadBlock(reader.raw(reader.remaining));
      return;
    case 'staged':
      state.loadStaged(reader.hex(16) as BodyId, { at: reader.u64(), size: reader.u64() }, now);
      return;
    case 'segments':
      segments.push({ number: reader.u32(), position: reader.u64(), end: reader.u64() });
      return;
    default:
      assertNever(kind);
  }
}
